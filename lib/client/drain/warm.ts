// Fills a server with what it owns of other servers' items, while all of them serve: a new node is
// not cold when clients come to it. The items that were used last come first. What the server has
// already stays, and so does the source's copy.
//
//   lru_crawler metadump all of each source  ->  keys that the ring gives the server, by age
//   -> moveItem, several at once, at a bounded rate

import { setTimeout as sleep } from 'node:timers/promises'
import { type Ask, moveItem } from '../copies/move.ts'
import { DRAIN_TIMEOUT_MS, DRAIN_TRIES_MAX } from '../limits.ts'
import { type ConnectionOptions, checkConnections } from '../nodes/connection.ts'
import { listedBy } from '../nodes/key-dump.ts'
import { MetaNode } from '../nodes/meta-node.ts'
import { isPlainKey } from '../nodes/node.ts'
import type { RingNode } from '../ring/ring.ts'

/** Ages are told apart by doubling: those of a band are at most twice as old as its youngest. */
const BANDS = 32

export interface WarmOptions extends ConnectionOptions {
  /** Items a second, at most; 0: as many as go. */
  rate: number
  /** Items in flight at the same time. */
  atOnce: number
  /** Whether the server owns a key. */
  owns(key: string): boolean
  onProgress(report: WarmReport): void
  /** Ends it early: it rejects with the signal's reason. */
  signal?: AbortSignal
}

/** What came of the items, by count. */
export interface WarmReport {
  /** Items of the sources that the server owns. */
  seen: number
  stored: number
  /** It had one already. */
  newer: number
  /** Expired meanwhile, claimed, or with a key that text commands cannot name. */
  skipped: number
  /** Could not be copied in several tries. */
  failed: number
}

interface Listed {
  key: string
  source: MetaNode
}

/** Rejects with a CacheError where the keys of a source cannot be listed. */
export async function warm(
  server: RingNode,
  sources: readonly RingNode[],
  options: WarmOptions,
): Promise<WarmReport> {
  checkConnections(options)
  const to = new MetaNode(server, options)
  const from = sources.map(source => new MetaNode(source, options))
  const report = { seen: 0, stored: 0, newer: 0, skipped: 0, failed: 0 }
  try {
    const bands = Array.from({ length: BANDS }, (): Listed[] => [])
    for (const [index, source] of sources.entries()) {
      await list(source, from[index], bands, options, report)
    }
    await copyAll(bands, to, options, report)
  } finally {
    for (const node of [to, ...from]) node.close()
  }
  return report
}

async function list(
  address: RingNode,
  source: MetaNode,
  bands: Listed[][],
  options: WarmOptions,
  report: WarmReport,
): Promise<void> {
  const nowS = Math.floor(Date.now() / 1000)
  for await (const { key, usedAtS } of listedBy(address, options)) {
    options.signal?.throwIfAborted()
    if (!options.owns(key)) continue
    report.seen++
    const ageS = Math.max(0, nowS - usedAtS)
    // Its age in binary has so many digits.
    if (isPlainKey(key)) bands[31 - Math.clz32(ageS + 1)].push({ key, source })
    else report.skipped++
    options.onProgress(report)
  }
}

async function copyAll(
  bands: readonly Listed[][],
  to: MetaNode,
  options: WarmOptions,
  report: WarmReport,
): Promise<void> {
  const startedMs = performance.now()
  const items = eachOf(bands)
  let begun = 0
  const work = async () => {
    for (const item of items) {
      options.signal?.throwIfAborted()
      begun++
      const dueMs = options.rate === 0 ? 0 : startedMs + (begun / options.rate) * 1000
      if (dueMs > performance.now()) await sleep(dueMs - performance.now())
      await copy(item, to, report)
      options.onProgress(report)
    }
  }
  await Promise.all(Array.from({ length: options.atOnce }, work))
}

/** The youngest first. Several loops may share it: none of them closes it for the others. */
function eachOf(bands: readonly Listed[][]): Iterable<Listed> {
  const items = (function* () {
    for (const band of bands) yield* band
  })()
  return { [Symbol.iterator]: () => ({ next: () => items.next() }) }
}

async function copy({ key, source }: Listed, to: MetaNode, report: WarmReport): Promise<void> {
  const asking = (node: MetaNode): Ask => {
    return call => call(node, DRAIN_TIMEOUT_MS)
  }
  for (let tries = 1; ; tries++) {
    try {
      const moved = await moveItem(key, asking(source), asking(to), true)
      if (moved === 'MOVED') report.stored++
      else if (moved === 'NEWER') report.newer++
      else report.skipped++
      return
    } catch {
      if (tries < DRAIN_TRIES_MAX) continue
      report.failed++
      return
    }
  }
}
