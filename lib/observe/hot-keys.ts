// Hot keys: one request in SAMPLE_EVERY, at random, is counted in the sketch of its thread, and so
// is every store of a value longer than the shortest in the list of longest values. All other
// requests cost one decrement. A report merges the sketches of all threads and looks the keys up in
// the cache, where they may be gone.

import { Area } from '../bytes/area.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import type { Arena } from '../engine/arena/arena.ts'
import type { Cache } from '../engine/cache.ts'
import { type Ref, valueBytesOf } from '../engine/items/item.ts'
import { isDead } from '../engine/items/links.ts'
import type { Shard } from '../engine/shard.ts'
import { Status } from '../engine/status.ts'
import type { HitSink } from '../engine/storing/ask.ts'
import { readSketches, type Sampled, Sketch, type SketchHandle } from './hot-sketch.ts'

/** One request in this number is sampled, on average. */
export const SAMPLE_EVERY = 128

/** With one sample in this number a thread checks whether one of the long values is still there. */
const LONG_RECHECK_SAMPLES = 8

/** Most keys of each kind in `stats hotkeys`. */
export const HOT_SHOWN_MAX = 20

/** A key with many requests. Keys are latin1, one character a byte. */
export interface HotKey {
  key: string
  /** Estimated lower bound of its recent requests. */
  requests: number
  /** Share of all sampled requests, 0 to 1. */
  share: number
  /** Undefined: it has no item now. */
  valueBytes: number | undefined
}

/** A key with a long value. */
export interface LongKey {
  key: string
  valueBytes: number
}

export interface HotKeysReport {
  /** Estimated number of requests behind the report. */
  requests: number
  /** Most requests first. */
  hot: HotKey[]
  /** Longest value first. */
  long: LongKey[]
}

/** A sink that reads the length of an item's value. */
class Gauge implements HitSink {
  valueBytes: number | undefined = undefined

  accept(arena: Arena, ref: Ref): Status {
    if (!isDead(arena, ref)) this.valueBytes = valueBytesOf(arena, ref)
    return Status.OK
  }
}

/** The sampling of one thread. */
export class HotKeys {
  readonly handle: SketchHandle
  /** Requests until the next sample. The caller that runs requests counts it down. */
  left: number
  /** A store of a value longer than this is always counted. */
  longBytes = 0
  private readonly sketch: Sketch
  private readonly gauge = new Gauge()
  private readonly known = Area.allocate(KEY_BYTES_MAX)
  private random: number
  private turn = 0

  constructor(handle: SketchHandle, thread: number) {
    this.handle = handle
    this.sketch = new Sketch(handle, thread)
    this.random = (Math.random() * 2 ** 32) | 1
    this.left = this.nextGap()
  }

  /**
   * Samples a request of any kind, when `left` has reached 0. Its value is that of the item, if
   * any.
   */
  sample(shard: Shard, hash: number, key: Area, start: number, length: number): void {
    this.left = this.nextGap()
    this.sketch.count(hash, key, start, length)
    // After a reset every value counts as long.
    this.longBytes = this.sketch.shortest()
    const valueBytes = this.gaugeOf(shard, hash, key, start, length) ?? 0
    if (valueBytes > this.longBytes) this.measure(hash, key, start, length, valueBytes)
  }

  /** Counts a store of a value of `valueBytes`, which may be one of the longest. */
  measure(hash: number, key: Area, start: number, length: number, valueBytes: number): void {
    this.sketch.measure(hash, key, start, length, valueBytes)
    this.longBytes = this.sketch.shortest()
  }

  /** Checks at intervals whether a key with a long value still has it. */
  recheck(cache: Cache): void {
    if (++this.turn % LONG_RECHECK_SAMPLES !== 0) return
    const { sketch, known } = this
    const index = this.turn / LONG_RECHECK_SAMPLES
    const keyBytes = sketch.copyLong(index, known)
    if (keyBytes === 0) return
    const hash = sketch.hashOf(index)
    const valueBytes = this.gaugeOf(cache.shardOf(hash), hash, known, 0, keyBytes) ?? 0
    this.measure(hash, known, 0, keyBytes, valueBytes)
  }

  /** Bytes of an item's value; undefined if there is no item. */
  gaugeOf(
    shard: Shard,
    hash: number,
    key: Area,
    start: number,
    length: number,
  ): number | undefined {
    this.gauge.valueBytes = undefined
    shard.inspect(hash, key, start, length, this.gauge)
    return this.gauge.valueBytes
  }

  /**
   * The merged samples of all threads since the last reset, in which recent samples weigh more.
   */
  report(cache: Cache): HotKeysReport {
    const { samples, hot, long } = readSketches(this.handle)
    return {
      requests: samples * SAMPLE_EVERY,
      hot: ranked(hot, (a, b) => a + b)
        .filter(({ count, error }) => count > error)
        .map(({ key, hash, count, error }) => ({
          key,
          requests: (count - error) * SAMPLE_EVERY,
          share: (count - error) / samples,
          valueBytes: this.valueBytesOf(cache, key, hash),
        })),
      long: ranked(long, Math.max)
        .map(({ key, hash }) => ({ key, valueBytes: this.valueBytesOf(cache, key, hash) ?? 0 }))
        .filter(({ valueBytes }) => valueBytes > 0)
        .sort((a, b) => b.valueBytes - a.valueBytes),
    }
  }

  private valueBytesOf(cache: Cache, key: string, hash: number): number | undefined {
    const area = new Area(Buffer.from(key, 'latin1'))
    return this.gaugeOf(cache.shardOf(hash), hash, area, 0, key.length)
  }

  /** Random, so that samples do not follow a rhythm of the requests. (xorshift) */
  private nextGap(): number {
    let x = this.random
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.random = x
    // As 32 bits: a field that once had a double is slow to count down.
    return (((x >>> 0) % (2 * SAMPLE_EVERY - 1)) + 1) | 0
  }
}

/** Merges the counts of all threads by key. Returns the highest, most first. */
function ranked(sampled: readonly Sampled[], put: (a: number, b: number) => number): Sampled[] {
  const keys = new Map<string, Sampled>()
  for (const one of sampled) {
    const all = keys.get(one.key)
    if (all === undefined) {
      keys.set(one.key, { ...one })
    } else {
      all.count = put(all.count, one.count)
      all.error = put(all.error, one.error)
    }
  }
  const sorted = [...keys.values()].sort((a, b) => b.count - b.error - (a.count - a.error))
  return sorted.slice(0, HOT_SHOWN_MAX)
}
