// How long requests take, by command: from the read that completed a request to its reply in the
// reply buffer; a get of many is one command. One read in SAMPLE_EVERY, at random, is timed; all
// other reads cost one decrement. Only with an admin listener.
//
// Shared memory, Float64: for each thread and command the number of samples, the sum of their
// times, the longest, and BUCKETS counts. Only that thread writes, any thread reads. A reset by
// another thread may miss a sample that is written at the same time.
//
// Bucket i counts times up to 2^((i + 1) / 4) microseconds, so that a percentile is at most a fifth
// too high. The last one has all longer times.

/** One read in this number is timed, on average. */
export const LATENCY_SAMPLE_EVERY = 64

/** The commands that are told apart; decr counts as incr. */
export const LATENCY_COMMANDS = ['get', 'gat', 'touch', 'set', 'delete', 'incr', 'me'] as const

/** What a request counts as: indices of LATENCY_COMMANDS, or nothing. */
export const Timed = {
  NOTHING: -1,
  GET: 0,
  GAT: 1,
  TOUCH: 2,
  SET: 3,
  DELETE: 4,
  INCR: 5,
  ME: 6,
} as const
export type Timed = (typeof Timed)[keyof typeof Timed]

const BUCKETS_A_DOUBLING = 4
const BUCKETS = 24 * BUCKETS_A_DOUBLING
const COUNT = 0
const SUM = 1
const LONGEST = 2
const FIRST_BUCKET = 3
const COMMAND_NUMBERS = FIRST_BUCKET + BUCKETS
const THREAD_NUMBERS = LATENCY_COMMANDS.length * COMMAND_NUMBERS

/** What another thread needs to attach; fit for postMessage. */
export interface LatencyHandle {
  buffer: SharedArrayBuffer
  threads: number
}

export function createLatencies(threads: number): LatencyHandle {
  return { buffer: new SharedArrayBuffer(threads * THREAD_NUMBERS * 8), threads }
}

/** Zeroes the times of all threads. */
export function resetLatencies({ buffer }: LatencyHandle): void {
  new Float64Array(buffer).fill(0)
}

/** The times of one thread, which only that thread writes. */
export class Latency {
  readonly handle: LatencyHandle
  private readonly numbers: Float64Array
  private readonly isOn: boolean
  private left = LATENCY_SAMPLE_EVERY
  private startedMs = 0
  private random = (Math.random() * 2 ** 32) | 1

  /** `isOn` false: nothing is timed. */
  constructor(handle: LatencyHandle, thread: number, isOn = true) {
    this.handle = handle
    this.isOn = isOn
    this.numbers = new Float64Array(handle.buffer, thread * THREAD_NUMBERS * 8, THREAD_NUMBERS)
  }

  /** A read begins to run. Returns whether its requests are timed. */
  begins(): boolean {
    if (--this.left > 0) return false
    this.left = this.nextGap()
    if (!this.isOn) return false
    this.startedMs = performance.now()
    return true
  }

  /** A request of this read is done. */
  note(command: Exclude<Timed, -1>): void {
    const us = (performance.now() - this.startedMs) * 1000
    const at = command * COMMAND_NUMBERS
    const { numbers } = this
    numbers[at + COUNT]++
    numbers[at + SUM] += us
    if (us > numbers[at + LONGEST]) numbers[at + LONGEST] = us
    numbers[at + FIRST_BUCKET + bucketOf(us)]++
  }

  /** From 1 to twice SAMPLE_EVERY, so that no rhythm of a peer's is sampled. */
  private nextGap(): number {
    let { random } = this
    random ^= random << 13
    random ^= random >>> 17
    random ^= random << 5
    this.random = random
    return 1 + ((random >>> 0) % (2 * LATENCY_SAMPLE_EVERY))
  }
}

function bucketOf(us: number): number {
  if (!(us > 1)) return 0
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(us) * BUCKETS_A_DOUBLING) - 1)
}

/** The longest time in a bucket, microseconds; the last one has no end. */
function endOf(bucket: number): number {
  return 2 ** ((bucket + 1) / BUCKETS_A_DOUBLING)
}

/** The times of one command, summed over all threads. Times in microseconds. */
export class Times {
  readonly command: string
  readonly count: number
  readonly sumUs: number
  readonly longestUs: number
  private readonly buckets: Float64Array

  constructor(
    command: string,
    count: number,
    sumUs: number,
    longestUs: number,
    buckets: Float64Array,
  ) {
    this.command = command
    this.count = count
    this.sumUs = sumUs
    this.longestUs = longestUs
    this.buckets = buckets
  }

  /** The time that this share of the samples did not exceed, 0 to 1; 0 without samples. */
  percentileUs(share: number): number {
    const wanted = Math.ceil(share * this.count)
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.buckets[bucket]
      if (seen === 0 || seen < wanted) continue
      return bucket === BUCKETS - 1 ? this.longestUs : Math.min(endOf(bucket), this.longestUs)
    }
    return this.longestUs
  }

  /**
   * The samples since an earlier reading, or all if they were reset meanwhile. The longest one is
   * at most a fifth too high.
   */
  since(earlier: Times): Times {
    if (earlier.count > this.count) return this
    const buckets = this.buckets.map((samples, i) => samples - earlier.buckets[i])
    const last = buckets.findLastIndex(samples => samples > 0)
    const longestUs = last === BUCKETS - 1 ? this.longestUs : Math.min(endOf(last), this.longestUs)
    const count = this.count - earlier.count
    return new Times(this.command, count, this.sumUs - earlier.sumUs, longestUs, buckets)
  }

  /** The samples of both, under the name of this one. */
  plus(other: Times): Times {
    const buckets = this.buckets.map((samples, i) => samples + other.buckets[i])
    const longestUs = Math.max(this.longestUs, other.longestUs)
    const sumUs = this.sumUs + other.sumUs
    return new Times(this.command, this.count + other.count, sumUs, longestUs, buckets)
  }

  /** How many samples took at most this long; exact at whole powers of two. */
  countUpTo(us: number): number {
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS && endOf(bucket) <= us * (1 + 1e-9); bucket++) {
      seen += this.buckets[bucket]
    }
    return seen
  }
}

/** The times of all commands, in the order of LATENCY_COMMANDS. */
export function readLatencies({ buffer, threads }: LatencyHandle): Times[] {
  const all = new Float64Array(buffer)
  return LATENCY_COMMANDS.map((command, index) => {
    const sum = new Float64Array(COMMAND_NUMBERS)
    let longest = 0
    for (let thread = 0; thread < threads; thread++) {
      const from = thread * THREAD_NUMBERS + index * COMMAND_NUMBERS
      for (let at = 0; at < COMMAND_NUMBERS; at++) sum[at] += all[from + at]
      longest = Math.max(longest, all[from + LONGEST])
    }
    return new Times(command, sum[COUNT], sum[SUM], longest, sum.subarray(FIRST_BUCKET))
  })
}
