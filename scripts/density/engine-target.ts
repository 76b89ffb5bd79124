// The engine in this process as a Target, with the times that it has its locks. To be imported
// after scripts/latency/hooks.ts. A pattern takes the same locks for the same work each time: keys
// are hashed with fixed seeds, the clock moves only in `wait`, and upkeep is bounded by steps.

import { Area } from '../../lib/bytes/area.ts'
import { CLOCK_S } from '../../lib/engine/arena/layout.ts'
import { lock, unlock } from '../../lib/engine/arena/lock.ts'
import type { Cache } from '../../lib/engine/cache.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { Ask, type HitSink } from '../../lib/engine/storing/ask.ts'
import { Upkeep } from '../../lib/engine/upkeep/upkeep.ts'
import type { Entry } from '../bench/caller.ts'
import { fixedCache } from '../bench/fixed-cache.ts'
import { holds } from '../latency/timed-lock.ts'
import type { Target } from './patterns.ts'

const PAGE_WORDS = 1024
const VALUE_BYTES_MAX = 2 ** 20
/** Turns of upkeep in a wait, for each arena, and steps of a turn. */
const TURNS = 100
const TURN_STEPS_MAX = 20

const seen: HitSink = { accept: () => Status.OK }

export class EngineTarget implements Target {
  readonly #cache: Cache
  readonly #upkeeps: Upkeep[]
  readonly #key = Area.allocate(250)
  readonly #value = Area.allocate(VALUE_BYTES_MAX)
  readonly #ask = new Ask(this.#key)

  constructor(memoryBytes: number, shards: number, evictions: boolean) {
    const options = { memoryBytes, shards, evictions, eviction: 'worth' } as const
    this.#cache = fixedCache(options)
    this.#upkeeps = this.#cache.shards.map(({ arena }) => new Upkeep(arena))
    // No hold may wait for the kernel to provide a page.
    for (const { arena } of this.#cache.shards) {
      for (let at = arena.bucketsAt; at < arena.words.length; at += PAGE_WORDS) arena.words[at] |= 0
    }
    holds.clear()
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
    for (const [index, { arena, holder }] of this.#cache.shards.entries()) {
      const upkeep = this.#upkeeps[index]
      arena.words[CLOCK_S] += Math.ceil(seconds)
      for (let turn = 0; turn < TURNS; turn++) {
        let more = true
        for (let step = 0; more && step < TURN_STEPS_MAX; step++) {
          lock(arena.words, holder)
          more = upkeep.step()
          unlock(arena.words)
        }
        upkeep.restMs(more)
      }
    }
  }

  #find(key: string) {
    const length = this.#key.bytes.write(key, 0, 'latin1')
    this.#ask.setKey(this.#key, 0, length, this.#cache.hash(this.#key, 0, length))
    return this.#cache.shardOf(this.#ask.hash)
  }
}
