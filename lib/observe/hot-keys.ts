// Hot keys: one request in SAMPLE_EVERY, drawn at random, goes into the sketch of its thread, and
// so does every store of a value that is longer than the shortest of the longest known. All others
// cost one decrement. What the sketches of all threads say together is looked up in the cache when
// somebody asks: it may be gone since.

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

/** One request in so many is sampled for hot keys, on average. */
export const SAMPLE_EVERY = 128

/** With one sample in so many a thread looks whether one of the long values is still there. */
const LONG_RECHECK_SAMPLES = 8

/** Keys of each kind that `stats hotkeys` names. */
export const HOT_SHOWN_MAX = 20

/** A key that many requests ask for. Keys are latin1: a character a byte. */
export interface HotKey {
  key: string
  /** About so many requests lately, at the least. */
  requests: number
  /** Of all sampled requests, 0 to 1. */
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
  /** About so many requests the figures tell of. */
  requests: number
  /** Most asked for first. */
  hot: HotKey[]
  /** Longest value first. */
  long: LongKey[]
}

/** The length of an item's value. */
class Gauge implements HitSink {
  valueBytes: number | undefined = undefined

  accept(arena: Arena, ref: Ref): Status {
    if (!isDead(arena, ref)) this.valueBytes = valueBytesOf(arena, ref)
    return Status.OK
  }
}

/** One thread's sampling. */
export class HotKeys {
  readonly handle: SketchHandle
  /** Requests until the next one that is sampled; who runs a request counts down. */
  left: number
  /** A store of a value longer than this is always looked at. */
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
   * The request that `left` said, whatever it does: its value is that of the item, if there is one.
   */
  sample(shard: Shard, hash: number, key: Area, start: number, length: number): void {
    this.left = this.nextGap()
    this.sketch.count(hash, key, start, length)
    // After a reset everything is long again.
    this.longBytes = this.sketch.shortest()
    const valueBytes = this.gaugeOf(shard, hash, key, start, length) ?? 0
    if (valueBytes > this.longBytes) this.measure(hash, key, start, length, valueBytes)
  }

  /** A store of a value of so many bytes, which may be one of the longest. */
  measure(hash: number, key: Area, start: number, length: number, valueBytes: number): void {
    this.sketch.measure(hash, key, start, length, valueBytes)
    this.longBytes = this.sketch.shortest()
  }

  /** Now and then: whether a key with a long value still has it. */
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

  /** Bytes of an item's value; undefined where there is none. */
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
   * What all threads have sampled since the last reset, the recent past more than what was before.
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

  /** At random, so that no rhythm of the requests falls in with that of the samples. (xorshift) */
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

/** One entry a key, with what its threads counted put together; the foremost, most first. */
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
