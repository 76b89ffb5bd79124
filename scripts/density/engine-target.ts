// The engine in this process as a Target, with the times that it has its locks. To be imported
// after scripts/latency/hooks.ts.

import { Area } from '../../lib/bytes/area.ts'
import { CLOCK_S } from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { UPKEEP_IDLE_MS } from '../../lib/engine/limits.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { Ask, type HitSink } from '../../lib/engine/storing/ask.ts'
import type { Entry } from '../bench/caller.ts'
import { holds } from '../latency/timed-lock.ts'
import type { Target } from './patterns.ts'

const PAGE_WORDS = 1024
const VALUE_BYTES_MAX = 2 ** 20
const TURNS_MAX = 100

const seen: HitSink = { accept: () => Status.OK }

export class EngineTarget implements Target {
  readonly #cache: Cache
  readonly #key = Area.allocate(250)
  readonly #value = Area.allocate(VALUE_BYTES_MAX)
  readonly #ask = new Ask(this.#key)

  constructor(memoryBytes: number, shards: number, evictions: boolean) {
    this.#cache = Cache.create({ memoryBytes, shards, evictions, eviction: 'worth' })
    // No hold may wait for the kernel to provide a page.
    for (const { arena } of this.#cache.shards) {
      for (let at = arena.bucketsAt; at < arena.words.length; at += PAGE_WORDS) arena.words[at] |= 0
    }
    holds.clear()
  }

  /** The longest time that a lock was held since the target was made, ms. */
  longestHoldMs(): number {
    return holds.longestMs
  }

  async set(entries: readonly Entry[], verb: 'set' | 'append' = 'set'): Promise<void> {
    for (const { key, valueBytes, exptime } of entries) {
      const shard = this.#find(key)
      const nowS = shard.arena.words[CLOCK_S]
      this.#ask.mode = verb === 'set' ? Mode.SET : Mode.APPEND
      this.#ask.dropsOld = verb === 'set'
      this.#ask.valueBytes = valueBytes
      this.#ask.expiresAtS = exptime === 0 ? 0 : nowS + exptime
      shard.store(this.#ask, this.#value, 0)
    }
  }

  async get(keys: readonly string[]): Promise<boolean[]> {
    return keys.map(key => this.#find(key).get(this.#ask, seen) === Status.OK)
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#find(key).remove(this.#ask)
  }

  async flush(): Promise<void> {
    for (const shard of this.#cache.shards) shard.flush(0)
  }

  /** The clock moves at once, and upkeep does what it does in that time. */
  async wait(seconds: number): Promise<void> {
    for (const [index, { arena }] of this.#cache.shards.entries()) {
      arena.words[CLOCK_S] += Math.ceil(seconds)
      for (let turn = 0; turn < TURNS_MAX; turn++) {
        if (this.#cache.upkeep(index) >= UPKEEP_IDLE_MS) break
      }
    }
  }

  #find(key: string) {
    const length = this.#key.bytes.write(key, 0, 'latin1')
    this.#ask.setKey(this.#key, 0, length, this.#cache.hash(this.#key, 0, length))
    return this.#cache.shardOf(this.#ask.hash)
  }
}
