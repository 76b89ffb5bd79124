// Who tells clients which nodes there are. A node is announced once it serves, and withdrawn before
// it is drained, so that clients look on it for what they miss elsewhere.

export interface Announcer {
  /**
   * The nodes that clients see now; null: nobody knows. `have`: the nodes that there are, which may
   * be asked.
   */
  seen(have: readonly string[], signal: AbortSignal): Promise<string[] | null>
  /**
   * Clients are to use `nodes`, and no longer `leaving`. Resolves with false where somebody did not
   * hear it and is to be told again later. Rejects with an Error of one line.
   */
  announce(
    nodes: readonly string[],
    leaving: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean>
}

/** Clients find out in ways of their own. */
export const NOBODY: Announcer = {
  seen: async () => null,
  announce: async () => true,
}
