// Moves items between nodes: before one leaves, and after some have come.

import { drain } from '../../../client/drain/drain.ts'
import { warm } from '../../../client/drain/warm.ts'
import { parseServer } from '../../../client/members/servers.ts'
import type { ConnectionOptions } from '../../../client/nodes/connection.ts'
import { createRing, ownerOf, type RingKind } from '../../../client/ring/ring.ts'

export interface Moving {
  /**
   * Moves the items of `node` to their owners among `nodes`, which may have it too. Resolves with
   * how many it moved. Rejects where some could not be.
   */
  drain(node: string, nodes: readonly string[], signal: AbortSignal): Promise<number>
  /** Copies to `node` what it will own of the others' items. Resolves with how many. */
  warm(node: string, others: readonly string[], signal: AbortSignal): Promise<number>
}

export interface MoverOptions extends Pick<ConnectionOptions, 'tls' | 'auth'> {
  kind: RingKind
  atOnce: number
  /** Items a second of a warming. */
  rate: number
}

export class Mover implements Moving {
  private readonly options: MoverOptions

  constructor(options: MoverOptions) {
    this.options = options
  }

  async drain(node: string, nodes: readonly string[], signal: AbortSignal): Promise<number> {
    const { kind, atOnce, rate: _, ...access } = this.options
    const { moved, failed } = await drain(node, nodes, { ...access, kind, atOnce, signal })
    if (failed > 0) throw new Error(`${failed} items of ${node} could not be moved`)
    return moved
  }

  async warm(node: string, others: readonly string[], signal: AbortSignal): Promise<number> {
    const { kind, atOnce, rate, ...access } = this.options
    const pool = [node, ...others].map(parseServer)
    const ring = createRing(pool, { kind })
    const report = await warm(pool[0], pool.slice(1), {
      ...access,
      atOnce,
      rate,
      owns: key => ownerOf(ring, key) === 0,
      onProgress: () => {},
      signal,
    })
    if (report.failed > 0) throw new Error(`${report.failed} items could not be copied to ${node}`)
    return report.stored
  }
}
