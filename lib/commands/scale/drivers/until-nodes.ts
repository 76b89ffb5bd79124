// Waiting until a list of nodes is as it should be, for drivers whose nodes others start and end.

import { setTimeout as sleep } from 'node:timers/promises'

export interface Wait {
  /** How often the nodes are listed, and how long, milliseconds. */
  everyMs: number
  atMostMs: number
  signal: AbortSignal
}

/** Resolves once `isThere` holds for the listed nodes; rejects with an Error of `late`. */
export async function untilNodes(
  list: (signal: AbortSignal) => Promise<string[]>,
  isThere: (nodes: readonly string[]) => boolean,
  late: string,
  { everyMs, atMostMs, signal }: Wait,
): Promise<void> {
  const untilMs = performance.now() + atMostMs
  while (!isThere(await list(signal))) {
    if (performance.now() > untilMs) throw new Error(late)
    await sleep(everyMs, undefined, { signal })
  }
}
