// Runs the requests of the sampled keys through miniature caches of several sizes, and tells what
// the real cache would miss with so much memory: a miss-ratio curve by miniature simulation, after
// Waldspurger and others, "Cache modeling and optimization using miniature simulations" (2017). The
// sample is that of SHARDS: keys by their hash, fewer of them where there are too many.
//
// One thread has it, beside the request path. What it says of the present size is measured; for the
// others it corrects the simulation by what was wrong about the present one (CURVE below).

import { MIB } from '../../bytes/units.ts'
import { pageBytesFor } from '../../engine/arena/arena.ts'
import type { Cache } from '../../engine/cache.ts'
import { flushesOf, lookupsOf, pageUseOf, tuningOf } from '../../engine/census.ts'
import { arenaCount } from '../../engine/create.ts'
import type { EvictionName } from '../../engine/limits.ts'
import { corrected, inOrder } from './correction.ts'
import {
  type CurvePoint,
  type Insight,
  InsightBoard,
  type InsightHandle,
  PREFIXES_SHOWN_MAX,
  type PrefixFacts,
} from './insight.ts'
import { SAMPLES_A_SECOND_MAX } from './key-sampler.ts'
import { ENTRY_BYTES, MINI_CLASSES, type MiniMemory, TAGS_MAX } from './mini-cache.ts'
import { Miniature } from './miniature.ts'
import { PrefixTable } from './prefix-table.ts'
import {
  isInShare,
  type ReadSample,
  RingDrain,
  type RingHandle,
  SampleKind,
} from './sample-ring.ts'

/** All state for it in a daemon, bytes: the miniature caches, and what is shared with threads. */
export const EVALUATOR_BYTES_MAX = MIB
/** What is not entries: the buffer of samples, the report, counts by class and by tag. */
const OTHER_BYTES = 256 * 1024
const ENTRIES_MAX = Math.floor((EVALUATOR_BYTES_MAX - OTHER_BYTES) / ENTRY_BYTES)

/**
 * The sizes: the memory as a multiple of the present one, each twice the one before, and its part
 * of the entries.
 */
const CURVE = [
  { memory: 0.25, part: 0.07 },
  { memory: 0.5, part: 0.12 },
  { memory: 1, part: 0.19 },
  { memory: 2, part: 0.27 },
  { memory: 4, part: 0.35 },
] as const
const PRESENT = 2

/** The share of keys at first, and by which factor it falls when there are too many. */
const SHARE_FIRST = 1 / 8
const SHARE_STEP = 0.85
const SHARE_MIN = 2 ** -24
/**
 * How often it may rise again by that factor, and which part of the entries and of the samples in a
 * second may be in use then.
 */
const RAISE_S = 120
const RAISE_USE_MAX = 0.7

/** Lost samples, as a part of all, above which the share falls; the least factor then. */
const LOST_MAX = 0.05
const LOST_FACTOR_MIN = 0.25

/** Counts are halved at most so often, and not before there were so many lookups of the sample. */
const FADE_S = 600
const FADE_SAMPLES_MIN = 10_000

/**
 * Other sizes below this are not estimated: most pages of so small a cache are the only ones of
 * their class.
 */
export const CURVE_BYTES_MIN = 8 * MIB

/** Misses of the sample before the simulation is corrected by them. */
const CORRECTED_MISSES_MIN = 20

/** Bytes of items by bytes of pages, before that is known; and the part of the limit for pages. */
const FILL_FIRST = 0.88
const FILL_WEIGHT = 0.1
const PAGES_PART = 0.975
/**
 * Slab classes of a mini class where the cache has none yet, and the part of them all that also
 * caches of other sizes have.
 */
const LEAST_PAGES = 3.1
const LEAST_PAGES_PART = 0.8
/**
 * A sampled item of more than this part of the smallest miniature cache is left out: there it would
 * take the place of many, which it does not in a cache.
 */
const ITEM_PART_MAX = 1 / 4

export class Evaluator {
  private readonly ring: RingDrain
  private readonly board: InsightBoard
  private readonly cache: Cache
  private rule: EvictionName = 'worth'
  private minis: Miniature[] = []
  private prefixes = new PrefixTable()
  private readonly leastPages = new Float64Array(MINI_CLASSES)
  private share = SHARE_FIRST
  /** The keys of this share had the time to be stored; misses of others are not counted yet. */
  private countedShare = SHARE_FIRST
  private raisedAtS = 0
  /** Samples, the lost ones included, of the busiest second since then; whether some were lost. */
  private busiest = 0
  private wasBusy = false
  private fill = FILL_FIRST
  /** Longer items are left out. */
  private bytesMax = 0
  private secondS = -1
  private flushed = 0
  private fadedAtS = 0
  /** Of the sample: misses by size and in the cache, lookups, and samples of the last second. */
  private misses = CURVE.map(() => 0)
  private missesHere = 0
  private seen = 0
  private lastSeen = 0
  private lost = 0
  /** Of the cache: lookups and misses, faded, and the counters at the last second. */
  private lookups = 0
  private missed = 0
  private lookupsSeen = 0
  private missedSeen = 0

  constructor(ring: RingHandle, board: InsightHandle, cache: Cache) {
    this.ring = new RingDrain(ring)
    this.board = new InsightBoard(board)
    this.cache = cache
    this.begin()
    this.lookAtCounters()
    this.forget()
    this.ring.setShare(this.share)
  }

  /** Evaluates the samples that wait; once a second it publishes what they show. */
  step(): void {
    this.lastSeen += this.ring.drain(this.take)
    if (this.cache.nowS === this.secondS) return
    this.secondS = this.cache.nowS
    if (this.cache.eviction() !== this.rule || flushesOf(this.cache) !== this.flushed) this.begin()
    for (const { cache } of this.minis) {
      cache.nowS = this.secondS
      cache.sweep()
    }
    this.lookAtCounters()
    this.adapt()
    this.raise()
    this.resize()
    this.fade()
    this.board.publish(this.insight())
  }

  /** Empty miniature caches of the present rule. */
  private begin(): void {
    this.rule = this.cache.eviction()
    this.flushed = flushesOf(this.cache)
    this.minis = CURVE.map(({ part }) => new Miniature(Math.floor(ENTRIES_MAX * part), this.rule))
    this.prefixes = new PrefixTable()
    for (const { cache } of this.minis) cache.nowS = this.cache.nowS
    this.resize()
  }

  private readonly take = (sample: ReadSample): void => {
    // Some wait that were sampled when the share was larger.
    if (!isInShare(sample.hash, this.share) || sample.bytes > this.bytesMax) return
    switch (sample.kind) {
      case SampleKind.HIT:
      case SampleKind.MISS:
        return this.lookUp(sample)
      case SampleKind.NEW:
      case SampleKind.STORED:
        return this.store(sample)
      default:
        for (const mini of this.minis) mini.remove(sample.hash)
    }
  }

  private lookUp(sample: ReadSample): void {
    const isHit = sample.kind === SampleKind.HIT
    const tag = this.tagOf(sample)
    const isCounted = isInShare(sample.hash, this.countedShare)
    this.seen += sample.times
    if (!isHit && isCounted) this.missesHere++
    ;(isHit ? this.prefixes.hits : this.prefixes.misses)[tag] += sample.times
    for (const [index, mini] of this.minis.entries()) {
      if (mini.get(sample.hash)) continue
      if (isCounted) this.misses[index]++
      // A client would store now what it got here.
      if (isHit) this.put(mini, sample, tag)
    }
  }

  /** What is new in the cache is not new to a larger one, where the client had got a hit. */
  private store(sample: ReadSample): void {
    const isNew = sample.kind === SampleKind.NEW
    const tag = this.tagOf(sample)
    for (const mini of this.minis) {
      if (!isNew || !mini.has(sample.hash)) this.put(mini, sample, tag)
    }
  }

  private tagOf({ prefix }: ReadSample): number {
    return this.prefixes.tagOf(prefix, this.minis[PRESENT].cache.tagEntries)
  }

  private put(mini: Miniature, { hash, bytes, expiresAtS }: ReadSample, tag: number): void {
    const key = { hash, bytes, expiresAtS, tag }
    while (isInShare(hash, this.share) && !mini.put(key)) this.lower(SHARE_STEP)
  }

  /** Samples fewer keys from now on. What was counted is what they would have had. */
  private lower(factor: number): void {
    const share = Math.max(this.share * factor, SHARE_MIN)
    for (const mini of this.minis) mini.keep(hash => isInShare(hash, share))
    this.raisedAtS = this.cache.nowS
    this.sample(share)
    this.count(Math.min(this.countedShare, share))
    this.resize()
  }

  /** Samples that were lost may be too many because of some keys: these go with a smaller share. */
  private adapt(): void {
    const lost = this.ring.takeLost()
    const all = this.lastSeen + lost
    this.lost += lost
    this.lastSeen = 0
    this.busiest = Math.max(this.busiest, all)
    if (lost > 0) this.wasBusy = true
    if (lost <= all * LOST_MAX) return
    this.lower(Math.max(LOST_FACTOR_MIN, ((all - lost) / all) * (1 - LOST_MAX)))
  }

  /** Samples more keys again, once there are fewer of them, or fewer requests. */
  private raise(): void {
    if (this.cache.nowS - this.raisedAtS < RAISE_S) return
    this.raisedAtS = this.cache.nowS
    this.count(this.share)
    const isBusy = this.wasBusy || this.busiest > SAMPLES_A_SECOND_MAX * RAISE_USE_MAX
    this.busiest = 0
    this.wasBusy = false
    const isFull = this.minis.some(({ cache }) => cache.count > cache.capacity * RAISE_USE_MAX)
    if (isBusy || isFull || this.share >= SHARE_FIRST) return
    this.sample(Math.min(this.share / SHARE_STEP, SHARE_FIRST))
  }

  private sample(share: number): void {
    this.prefixes.fade(share / this.share)
    this.share = share
    this.ring.setShare(share)
  }

  private count(share: number): void {
    const factor = share / this.countedShare
    this.countedShare = share
    this.misses = this.misses.map(count => count * factor)
    this.missesHere *= factor
  }

  private resize(): void {
    this.measureFill()
    const limitBytes = this.cache.memoryLimitBytes()
    const tuning = tuningOf(this.cache)
    for (const [index, { memory }] of CURVE.entries()) {
      this.minis[index].setMemory(this.memoryOf(limitBytes * memory))
      this.minis[index].tune(tuning)
    }
    this.bytesMax = this.minis[0].cache.limitBytes * ITEM_PART_MAX
  }

  private memoryOf(bytes: number): MiniMemory {
    const { shards } = this.cache
    const arenas = arenaCount(bytes, shards.length, this.cache.itemBytesMax())
    const pageBytes = pageBytesFor(bytes / arenas)
    const limitBytes = bytes * PAGES_PART * this.fill * this.share
    return {
      limitBytes,
      pageBytes: limitBytes * Math.min(1, (pageBytes * arenas) / bytes),
      leastPages: this.leastPages,
      longBytes: pageBytes / 2,
      scale: this.share * arenas,
    }
  }

  /** How full pages are, and how many slab classes have a page of their own. */
  private measureFill(): void {
    const { pageBytes, itemBytes, chunkBytes } = pageUseOf(this.cache)
    this.leastPages.fill(0)
    for (const bytes of chunkBytes) {
      const id = this.minis[PRESENT].cache.classFor(bytes - 1)
      this.leastPages[id] += 1 / this.cache.shards.length
    }
    for (let id = 0; id < MINI_CLASSES; id++) {
      this.leastPages[id] = (this.leastPages[id] || LEAST_PAGES) * LEAST_PAGES_PART
    }
    if (pageBytes < this.cache.memoryLimitBytes() / 2) return
    this.fill += (itemBytes / pageBytes - this.fill) * FILL_WEIGHT
  }

  /** Adds what was asked for and what was missed since the last look. */
  private lookAtCounters(): void {
    const { lookups, misses } = lookupsOf(this.cache)
    if (lookups < this.lookupsSeen || misses < this.missedSeen) this.forget()
    this.lookups += lookups - this.lookupsSeen
    this.missed += misses - this.missedSeen
    this.lookupsSeen = lookups
    this.missedSeen = misses
  }

  /** `stats reset`: counts begin again, the miniature caches stay. */
  private forget(): void {
    this.misses.fill(0)
    this.missesHere = 0
    this.seen = 0
    this.lost = 0
    this.lookups = 0
    this.missed = 0
    this.prefixes.fade(0)
    this.fadedAtS = this.cache.nowS
    const { lookups, misses } = lookupsOf(this.cache)
    this.lookupsSeen = lookups
    this.missedSeen = misses
  }

  private fade(): void {
    if (this.cache.nowS - this.fadedAtS < FADE_S || this.seen < FADE_SAMPLES_MIN) return
    this.fadedAtS = this.cache.nowS
    this.misses = this.misses.map(count => count / 2)
    this.missesHere /= 2
    this.seen /= 2
    this.lost /= 2
    this.lookups /= 2
    this.missed /= 2
    this.prefixes.fade(0.5)
  }

  private insight(): Insight {
    return {
      curve: {
        points: this.points(),
        sampledShare: this.share,
        sampledKeys: this.minis[PRESENT].cache.count,
        lookups: Math.round(this.lookups),
        lost: Math.round(this.lost),
      },
      prefixes: this.prefixFacts(),
    }
  }

  private points(): CurvePoint[] {
    const limitBytes = this.cache.memoryLimitBytes()
    const ratios = this.missRatios()
    return CURVE.map(({ memory }, index) => {
      const { cache } = this.minis[index]
      const isTooSmall = index !== PRESENT && limitBytes * memory < CURVE_BYTES_MIN
      return {
        memory,
        memoryBytes: Math.round(limitBytes * memory),
        missRatio: isTooSmall ? null : (ratios?.[index] ?? null),
        filled: Math.min(1, cache.usedBytes / cache.limitBytes),
      }
    })
  }

  /** By size; null: nothing was asked for yet. */
  private missRatios(): number[] | null {
    if (this.lookups <= 0) return null
    // Lost samples missed as the others did.
    const lost = (this.seen + this.lost) / Math.max(1, this.seen)
    const ratioOf = (misses: number) => (misses / this.countedShare / this.lookups) * lost
    const ratios = this.misses.map(ratioOf)
    const ofAll = this.missed / this.lookups
    if (Math.min(this.misses[PRESENT], this.missesHere) < CORRECTED_MISSES_MIN || ofAll === 0) {
      const plain = ratios.map((ratio, index) => (index === PRESENT ? ofAll : Math.min(1, ratio)))
      return inOrder(plain, PRESENT)
    }
    return corrected({ ratios, present: PRESENT, ofSample: ratioOf(this.missesHere), ofAll })
  }

  private prefixFacts(): PrefixFacts[] {
    const { tagEntries, tagBytes } = this.minis[PRESENT].cache
    const { names, hits, misses } = this.prefixes
    const facts: PrefixFacts[] = []
    for (let tag = 0; tag < Math.min(names.length, TAGS_MAX); tag++) {
      const lookups = hits[tag] + misses[tag]
      if (tagEntries[tag] === 0 && lookups === 0) continue
      facts.push({
        prefix: names[tag],
        items: Math.round(tagEntries[tag] / this.share),
        bytes: Math.round(tagBytes[tag] / this.share),
        lookups: Math.round(lookups / this.share),
        hitRatio: lookups === 0 ? null : hits[tag] / lookups,
      })
    }
    return facts.sort((a, b) => b.bytes - a.bytes).slice(0, PREFIXES_SHOWN_MAX)
  }
}
