// Moves the items of one server to their current owners: before it is stopped, or after a pool has
// grown, so that nothing depends on the old server any more. Clients may go on meanwhile if they
// know the change and fetch from the old server what the new one lacks (warmup.ts).
//
//   lru_crawler metadump all  ->  keys  ->  moveItem, several at once  ->  the owner of each
//
// memcached's crawler skips items that are in use at that moment, so the keys are listed again
// until nothing more is moved.

import { checkOptions, checkType, countOption, refuse } from '../../doors/arguments.ts'
import { type Ask, moveItem } from '../copies/move.ts'
import { DRAIN_AT_ONCE, DRAIN_AT_ONCE_MAX, DRAIN_TIMEOUT_MS, DRAIN_TRIES_MAX } from '../limits.ts'
import { parseServer } from '../members/servers.ts'
import { type ConnectionOptions, checkAuth, checkConnections } from '../nodes/connection.ts'
import { keysOf } from '../nodes/key-dump.ts'
import { MetaNode } from '../nodes/meta-node.ts'
import { isPlainKey } from '../nodes/node.ts'
import {
  checkNode,
  createRing,
  ownerOf,
  type Ring,
  type RingNode,
  type RingOptions,
} from '../ring/ring.ts'

/** How often the keys are listed while there is still something to move. */
const DRAIN_PASSES_MAX = 10

/** It gives up after this number of items that cannot be moved. */
const DRAIN_FAILED_MAX = 100

export interface DrainOptions extends RingOptions, ConnectionOptions {
  /** Items in flight at the same time. Default 64. */
  atOnce?: number
  /**
   * Copies the items instead of moving them, for clients that get the change only afterwards. An
   * item changed or deleted meanwhile keeps its old state on the new owner.
   */
  keep?: boolean
  /** Called with the progress at intervals. */
  onProgress?: (report: DrainReport) => void
  /** Ends it early: it rejects with the signal's reason. What was moved by then stays moved. */
  signal?: AbortSignal
}

const OPTION_NAMES: Record<keyof Required<DrainOptions>, true> = {
  atOnce: true,
  keep: true,
  onProgress: true,
  signal: true,
  kind: true,
  keyHash: true,
  hashTag: true,
  tls: true,
  auth: true,
  connections: true,
  pendingMax: true,
  pendingBytesMax: true,
}
const NAMES = Object.keys(OPTION_NAMES)

/** What became of the items, by count. */
export interface DrainReport {
  /** Items that belong to another server now. */
  seen: number
  moved: number
  /** The new owner already had a newer one. */
  newer: number
  /** Expired or changed meanwhile, claimed, or with a key that text commands cannot name. */
  skipped: number
  /** Could not be moved in several tries. */
  failed: number
}

/** Where the moves of one drain go. */
interface Course {
  from: MetaNode
  to: MetaNode[]
  ring: Ring
  options: DrainOptions
  report: DrainReport
}

/**
 * Moves the items of `server` to their owners among `servers`. If `server` is one of them it keeps
 * its own items. Rejects with a CacheError if its keys cannot be listed, or if too many items
 * cannot be moved.
 */
export async function drain(
  server: string | RingNode,
  servers: readonly (string | RingNode)[],
  options: DrainOptions = {},
): Promise<DrainReport> {
  checkOptions(options, NAMES)
  checkAuth(options.auth)
  checkConnections(options)
  checkType('keep', options.keep, 'boolean')
  checkType('onProgress', options.onProgress, 'function')
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) {
    refuse('signal', 'an AbortSignal', options.signal)
  }
  countOption(options, 'atOnce', DRAIN_AT_ONCE, [1, DRAIN_AT_ONCE_MAX])
  if (!Array.isArray(servers)) refuse('servers', 'a list of servers', servers)
  const leaving = nodeOf(server)
  checkNode(leaving)
  const nodes = servers.map(nodeOf)
  if (nodes.length === 0) refuse('servers', 'those to drain to', servers)
  const report = { seen: 0, moved: 0, newer: 0, skipped: 0, failed: 0 }
  const ring = createRing(nodes, options)
  const from = new MetaNode(leaving, options)
  const to = nodes.map(node => new MetaNode(node, options))
  const course: Course = { from, to, ring, options, report }
  try {
    for (let pass = 0; pass < DRAIN_PASSES_MAX; pass++) {
      const { moved } = report
      // Items that stay are counted again.
      Object.assign(report, { seen: moved, newer: 0, skipped: 0, failed: 0 })
      await moveListed(leaving, course)
      if (report.moved === moved || options.keep === true) break
    }
  } finally {
    for (const node of [from, ...to]) node.close()
  }
  return report
}

/** Lists the keys once and moves what can be moved. */
async function moveListed(leaving: RingNode, course: Course): Promise<void> {
  const { options } = course
  const keys = keysOf(leaving, options)
  const work = async () => {
    for await (const key of sharing(keys)) {
      options.signal?.throwIfAborted()
      await moveToOwner(key, course)
    }
  }
  try {
    await Promise.all(Array.from({ length: options.atOnce ?? DRAIN_AT_ONCE }, work))
  } finally {
    await keys.return(undefined)
  }
}

/** Shares one generator between several loops: none of them closes it for the others. */
function sharing<T>(items: AsyncGenerator<T, void>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => ({ next: () => items.next() }) }
}

async function moveToOwner(key: string, course: Course): Promise<void> {
  const { from, to, ring, options, report } = course
  const owner = to[ownerOf(ring, key)]
  if (owner.name === from.name) return
  report.seen++
  if (!isPlainKey(key)) {
    report.skipped++
    return
  }
  const asking = (node: MetaNode): Ask => {
    return call => call(node, DRAIN_TIMEOUT_MS)
  }
  for (let tries = 1; ; tries++) {
    try {
      const moved = await moveItem(key, asking(from), asking(owner), options.keep)
      if (moved === 'MOVED') report.moved++
      else if (moved === 'NEWER') report.newer++
      else report.skipped++
      break
    } catch (error) {
      if (tries < DRAIN_TRIES_MAX) continue
      report.failed++
      if (report.failed > DRAIN_FAILED_MAX) throw error
      break
    }
  }
  options.onProgress?.(report)
}

function nodeOf(server: string | RingNode): RingNode {
  return typeof server === 'string' ? parseServer(server) : server
}
