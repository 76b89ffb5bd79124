// A trace through the engine in this process, as an application uses a cache: get, and after a miss
// set. With fixed hash seeds and a clock that follows the trace, so that a run repeats itself.

import { Area } from '../../lib/bytes/area.ts'
import { CLOCK_S } from '../../lib/engine/arena/layout.ts'
import type { Cache, CacheOptions } from '../../lib/engine/cache.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { Ask, type HitSink } from '../../lib/engine/storing/ask.ts'
import { Evaluator } from '../../lib/observe/miniature/evaluator.ts'
import { createInsight, type Insight, InsightBoard } from '../../lib/observe/miniature/insight.ts'
import { createSamples, Sampler } from '../../lib/observe/miniature/key-sampler.ts'
import { fixedCache } from '../bench/fixed-cache.ts'
import type { Access } from '../bench/traces.ts'

const KEY_BYTES_MAX = 250
const VALUE_BYTES_MAX = 2 ** 20
/** Accesses in a second of the cache's clock, and from one turn of upkeep to the next. */
const ACCESSES_A_SECOND = 40_000
const ACCESSES_A_TURN = 1000

const seen: HitSink = { accept: () => Status.OK }

export interface EngineRun {
  /** Of the second half, after the cache has filled. */
  missRatio: number
  /** What the miniature caches say of the second half; null: there were none. */
  insight: Insight | null
  /** Time for the miniature caches, by the time of all accesses. */
  overhead: number
}

export class EngineReplay {
  readonly #cache: Cache
  readonly #key = Area.allocate(KEY_BYTES_MAX)
  readonly #value = Area.allocate(VALUE_BYTES_MAX)
  readonly #ask = new Ask(this.#key)
  readonly #samples
  readonly #insight
  readonly #sampler: Sampler
  readonly #evaluator: Evaluator | null
  #evaluationMs = 0

  /** `samples`: keys are sampled, as with `-o mrc`. */
  constructor(options: CacheOptions, samples: boolean) {
    this.#cache = fixedCache(options)
    this.#samples = createSamples(samples, 1, ':')
    this.#insight = createInsight(samples)
    this.#sampler = new Sampler(this.#samples)
    this.#evaluator = samples ? new Evaluator(this.#samples, this.#insight, this.#cache) : null
  }

  /** Replays `count` accesses. */
  run(accesses: Iterable<Access>, count: number): EngineRun {
    const startMs = performance.now()
    let misses = 0
    let at = 0
    for (const access of accesses) {
      if (at % ACCESSES_A_TURN === 0) this.#turn(at)
      if (at === count >> 1) this.#reset(at)
      if (!this.#serve(access) && at >= count >> 1) misses++
      at++
    }
    this.#turn(at + ACCESSES_A_SECOND)
    return {
      missRatio: misses / (count - (count >> 1)),
      insight: new InsightBoard(this.#insight).read(),
      overhead: this.#evaluationMs / (performance.now() - startMs),
    }
  }

  /** What `stats reset` does, and a second in which it is noticed. */
  #reset(at: number): void {
    for (const shard of this.#cache.shards) shard.resetStats()
    this.#turn(at + ACCESSES_A_SECOND)
  }

  /** The clock moves to where the trace is. */
  #turn(at: number): void {
    const nowS = 2 + Math.floor(at / ACCESSES_A_SECOND)
    for (const [index, { arena }] of this.#cache.shards.entries()) {
      arena.words[CLOCK_S] = Math.max(arena.words[CLOCK_S], nowS)
      this.#cache.upkeep(index)
    }
    const startMs = performance.now()
    this.#evaluator?.step()
    this.#evaluationMs += performance.now() - startMs
  }

  #serve({ key, valueBytes, ttlS, isSet }: Access): boolean {
    const ask = this.#ask
    const length = this.#key.bytes.write(key, 0, 'latin1')
    ask.setKey(this.#key, 0, length, this.#cache.hash(this.#key, 0, length))
    const shard = this.#cache.shardOf(ask.hash)
    const isSampled = this.#sampler.takes(ask.hash)
    const isHit = !isSet && shard.get(ask, seen) === Status.OK
    if (isSampled && isHit) this.#sampler.hit(shard, ask)
    if (isHit) return true
    if (isSampled && !isSet) this.#sampler.missed(shard, ask)
    ask.mode = Mode.SET
    ask.dropsOld = true
    ask.valueBytes = valueBytes
    ask.expiresAtS = ttlS === 0 ? 0 : shard.nowS() + ttlS
    const isNew = isSampled && !this.#sampler.finds(shard, ask)
    const isStored = shard.store(ask, this.#value, 0) === Status.OK
    if (isSampled && isStored) this.#sampler.stored(shard, ask, isNew)
    return isSet
  }
}
