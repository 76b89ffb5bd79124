// A soak: several threads put a cache through changing sizes, ends of items, flushes and memory
// limits for as long as is wanted. In the end every arena is verified, nothing is held, and the
// memory in use is within the limit; that is looked at all the time, too.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { HOLD_COUNT, ITEM_COUNT, RESETS } from '../../lib/engine/arena/layout.ts'
import { lock, unlock } from '../../lib/engine/arena/lock.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { pagesAboveLimit } from '../../lib/engine/chunks/slabs.ts'
import type { Shard } from '../../lib/engine/shard.ts'
import { verify } from '../../lib/engine/verify.ts'
import { randomFrom } from '../bench/requests.ts'
import type { SoakReport, SoakTask } from './thread.ts'

export interface SoakOptions {
  seconds: number
  threads: number
  memoryBytes: number
  seed: number
}

export interface SoakResult extends SoakReport {
  items: number
  /** The memory in use was above the limit for so long at most, ms, after it was lowered. */
  aboveLimitMs: number
}

const ENTRY = new URL('./thread.ts', import.meta.url)
const MAIN = 1
const TICK_MS = 200
const LIMIT_EVERY_MS = 5000
/** Shares of the memory that the limit is set to. */
const LIMITS = [1, 1, 0.75, 0.5]
/** Upkeep gives pages back within this time, on a machine that is not quiet. */
const SETTLE_MS_MAX = 30_000

/** Rejects with an Error that says what was wrong. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { seconds, threads, memoryBytes, seed } = options
  const cache = Cache.create({ memoryBytes, shards: threads }, MAIN)
  const control = new Int32Array(new SharedArrayBuffer(64))
  const workers = Array.from({ length: threads }, (_, index) => {
    const task = { handle: cache.handle, holder: MAIN + 1 + index, index, threads, seed, control }
    return new Worker(ENTRY, { workerData: task satisfies SoakTask, execArgv: [] })
  })
  const reports = Promise.all(workers.map(worker => once(worker, 'message')))
  const exits = Promise.all(workers.map(worker => once(worker, 'exit')))
  let aboveLimitMs = 0
  try {
    aboveLimitMs = await watch(cache, memoryBytes, seconds, seed, reports)
  } finally {
    Atomics.store(control, 0, 1)
  }
  const done = (await reports).map(([report]) => report as SoakReport)
  await exits
  const failure = done.find(report => report.failure !== '')?.failure
  if (failure !== undefined) throw new Error(failure)
  await settle(cache)
  const items = cache.shards.reduce((sum, { arena }) => sum + arena.words[ITEM_COUNT], 0)
  return { ...done.reduce(add), items, aboveLimitMs }
}

/** Ticks the clocks and changes the limit until the time is over, or a thread has ended. */
async function watch(
  cache: Cache,
  memoryBytes: number,
  seconds: number,
  seed: number,
  reports: Promise<unknown>,
): Promise<number> {
  const random = randomFrom(seed)
  const untilMs = performance.now() + seconds * 1000
  let changeMs = performance.now() + LIMIT_EVERY_MS
  let withinMs = performance.now()
  let longestMs = 0
  while (performance.now() < untilMs) {
    // All of them report once one of them has found something wrong, or the time is over.
    if ((await Promise.race([sleep(TICK_MS), reports])) !== undefined) break
    cache.tick()
    const nowMs = performance.now()
    if (cache.shards.every(isWithinLimit)) withinMs = nowMs
    longestMs = Math.max(longestMs, nowMs - withinMs)
    if (longestMs > SETTLE_MS_MAX) throw new Error('the memory in use stays above its limit')
    if (nowMs < changeMs) continue
    changeMs = nowMs + LIMIT_EVERY_MS
    cache.setMemoryLimit(memoryBytes * LIMITS[Math.floor(random() * LIMITS.length)])
  }
  return longestMs
}

/** Upkeep until pages above the limit are given back; then all is as it must be. */
async function settle(cache: Cache): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS_MAX
  for (let index = 0; index < cache.shards.length; index++) {
    while (!isWithinLimit(cache.shards[index]) && performance.now() < untilMs) {
      cache.tick()
      await sleep(cache.upkeep(index))
    }
  }
  for (const shard of cache.shards) {
    const { words } = shard.arena
    lock(words, shard.holder)
    verify(shard.arena)
    unlock(words)
    if (words[HOLD_COUNT] !== 0) throw new Error(`${words[HOLD_COUNT]} items are held`)
    if (words[RESETS] !== 0) throw new Error('an arena was emptied')
    if (!isWithinLimit(shard)) throw new Error('the memory in use is above its limit')
  }
}

function isWithinLimit({ arena }: Shard): boolean {
  return pagesAboveLimit(arena) <= 0
}

function add(a: SoakReport, b: SoakReport): SoakReport {
  return {
    gets: a.gets + b.gets,
    hits: a.hits + b.hits,
    sets: a.sets + b.sets,
    refused: a.refused + b.refused,
    flushes: a.flushes + b.flushes,
    failure: '',
  }
}
