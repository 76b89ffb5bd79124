// The sampling of one thread: what requests for sampled keys did, for the miniature caches. A
// request for any other key pays for one comparison of its hash (protocol/sampled.ts), and nothing
// where sampling is off.
//
// A key that is asked for again and again tells nothing new: of its hits in a row one in eight is
// written. And a thread writes a bounded number of samples a second.

import type { Arena } from '../../engine/arena/arena.ts'
import { expiryOf, itemBytes, itemTotalBytes, newMeta, type Ref } from '../../engine/items/item.ts'
import { isDead } from '../../engine/items/links.ts'
import type { Shard } from '../../engine/shard.ts'
import { Status } from '../../engine/status.ts'
import type { Ask, HitSink } from '../../engine/storing/ask.ts'
import {
  createRing,
  EMPTY_SAMPLE,
  type RingHandle,
  RingSource,
  type Sample,
  SampleKind,
} from './sample-ring.ts'

/**
 * Samples that all threads together write in a second. To write and evaluate one takes about two
 * microseconds, so all take less than a hundredth of a core.
 */
export const SAMPLES_A_SECOND_MAX = 3500

const RECENT_KEYS = 64
const REPEATS_A_SAMPLE = 8

export interface SamplerHandle extends RingHandle {
  isOn: boolean
  threads: number
  /** The byte between the prefix of a key and the rest. */
  delimiter: number
}

/** `delimiter`: between the prefix of a key and the rest. `isOn` false: nothing is sampled. */
export function createSamples(isOn: boolean, threads: number, delimiter: string): SamplerHandle {
  return { ...createRing(isOn), isOn, threads, delimiter: delimiter.charCodeAt(0) }
}

/** Reads the size and the expiry of an item. */
class Measure implements HitSink {
  bytes = 0
  expiresAtS = 0

  accept(arena: Arena, ref: Ref): Status {
    if (isDead(arena, ref)) return Status.OK
    this.bytes = itemTotalBytes(arena, ref)
    this.expiresAtS = expiryOf(arena, ref)
    return Status.OK
  }
}

export class Sampler {
  readonly isOn: boolean
  private readonly ring: RingSource
  private readonly perSecond: number
  private readonly delimiter: number
  private readonly measure = new Measure()
  private readonly recent = new Int32Array(RECENT_KEYS)
  private readonly sample: Sample = { ...EMPTY_SAMPLE }
  private repeats = 0
  private secondS = 0
  private left = 0

  constructor(handle: SamplerHandle) {
    this.isOn = handle.isOn
    this.ring = new RingSource(handle)
    this.perSecond = Math.ceil(SAMPLES_A_SECOND_MAX / handle.threads)
    this.delimiter = handle.delimiter
  }

  /** Whether the key with this hash is sampled. */
  takes(hash: number): boolean {
    return this.ring.takes(hash)
  }

  /** A sampled key was asked for, and hit. */
  hit(shard: Shard, ask: Ask): void {
    const slot = (ask.hash >>> 8) & (RECENT_KEYS - 1)
    const isRepeat = this.recent[slot] === ask.hash
    if (isRepeat && ++this.repeats % REPEATS_A_SAMPLE !== 0) return
    this.recent[slot] = ask.hash
    // It may be gone already.
    if (!this.finds(shard, ask)) return
    this.sample.times = isRepeat ? REPEATS_A_SAMPLE : 1
    this.write(SampleKind.HIT, shard, ask, this.measure.bytes)
  }

  missed(shard: Shard, ask: Ask): void {
    this.write(SampleKind.MISS, shard, ask, 0)
  }

  /** It was stored, or will be; `isNew`: in place of no other item. */
  stored(shard: Shard, ask: Ask, isNew: boolean): void {
    const { keyBytes, flags, expiresAtS, valueBytes } = ask
    this.measure.expiresAtS = expiresAtS
    const bytes = itemBytes(newMeta(keyBytes, flags, expiresAtS, valueBytes, 0), valueBytes)
    this.write(isNew ? SampleKind.NEW : SampleKind.STORED, shard, ask, bytes)
  }

  removed(shard: Shard, ask: Ask): void {
    this.write(SampleKind.REMOVED, shard, ask, 0)
  }

  /** Whether a key has an item now; measures it. */
  finds(shard: Shard, { hash, area, keyStart, keyBytes }: Ask): boolean {
    this.measure.bytes = 0
    shard.inspect(hash, area, keyStart, keyBytes, this.measure)
    return this.measure.bytes > 0
  }

  private write(kind: SampleKind, shard: Shard, ask: Ask, bytes: number): void {
    const nowS = shard.nowS()
    if (nowS !== this.secondS) {
      this.secondS = nowS
      this.left = this.perSecond
    }
    if (this.left === 0) return this.ring.countLost()
    this.left--
    const { sample } = this
    sample.hash = ask.hash
    sample.kind = kind
    sample.bytes = bytes
    sample.expiresAtS = this.measure.expiresAtS
    this.ring.write(sample, ask.area, ask.keyStart, this.prefixBytes(ask))
    sample.times = 1
  }

  /** Length of what is before the delimiter; 0: the key has none. */
  private prefixBytes({ area, keyStart, keyBytes }: Ask): number {
    const { bytes } = area
    for (let length = 0; length < keyBytes; length++) {
      if (bytes[keyStart + length] === this.delimiter) return length
    }
    return 0
  }
}
