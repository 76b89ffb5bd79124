// What changes the pool. A driver knows which nodes there are, adds some and removes one. It
// decides nothing, and may be asked again after a failure.

export interface Driver {
  readonly name: string
  /**
   * Names of the nodes, `host:port` as clients know them, dead ones that it will start again among
   * them. Rejects with an Error of one line where that is not known.
   */
  nodes(signal: AbortSignal): Promise<string[]>
  /**
   * Brings the pool to `to` nodes. `have`: those that there are. Resolves once the new ones are
   * there; some may be there although it rejects.
   */
  grow(to: number, have: readonly string[], signal: AbortSignal): Promise<void>
  /** Ends one node, whose items are moved already. `to`: how many are left. */
  remove(node: string, to: number, have: readonly string[], signal: AbortSignal): Promise<void>
  /** Starts again what died. Resolves with the names. */
  repair(signal: AbortSignal): Promise<string[]>
}
