// What the sampled keys show, as the thread that evaluates them publishes it once a second, for any
// thread to read: the miss-ratio curve, and the key prefixes.
//
//   SEQUENCE  odd while it is written | BYTES | the text, JSON
//
// JSON, because it is read for a report or a page and never on the request path.

/** The estimate for one size of the memory. */
export interface CurvePoint {
  /** The memory as a multiple of the present one. */
  memory: number
  memoryBytes: number
  /** Share of lookups that would miss, 0 to 1; null: none yet, or the memory is too small. */
  missRatio: number | null
  /** How full the miniature cache of this size is, 0 to 1; below 1 it has not evicted yet. */
  filled: number
}

export interface MissCurve {
  /** Ascending; the one with `memory` 1 is the cache as it is, measured. */
  points: CurvePoint[]
  /** Share of all keys that are sampled, 0 to 1, and how many of them the cache has. */
  sampledShare: number
  sampledKeys: number
  /** Lookups behind the curve; older ones count less and less. */
  lookups: number
  /** Samples that were lost since the last reset: there were too many of them. */
  lost: number
}

/** Estimates for the keys that begin alike, as far as the first delimiter. */
export interface PrefixFacts {
  /** Latin1; empty: keys without a delimiter, and prefixes that are not counted on their own. */
  prefix: string
  items: number
  /** Of the items, headers included. */
  bytes: number
  lookups: number
  /** Share of them that hit, 0 to 1; null: there were none. */
  hitRatio: number | null
}

export interface Insight {
  curve: MissCurve
  /** Most bytes first, at most PREFIXES_SHOWN_MAX. */
  prefixes: PrefixFacts[]
}

/** Prefixes in a report. */
export const PREFIXES_SHOWN_MAX = 64

/** Bytes of a report; a prefix has at most 32 characters, six bytes each where they are escaped. */
const TEXT_BYTES_MAX = 48 * 1024

const SEQUENCE = 0
const BYTES = 1
const HEADER_WORDS = 2
/** Tries to read between two reports. */
const READ_TRIES_MAX = 100

export interface InsightHandle {
  buffer: SharedArrayBuffer
}

export function createInsight(isOn: boolean): InsightHandle {
  return { buffer: new SharedArrayBuffer(HEADER_WORDS * 4 + (isOn ? TEXT_BYTES_MAX : 0)) }
}

export class InsightBoard {
  private readonly words: Int32Array
  private readonly text: Buffer

  constructor({ buffer }: InsightHandle) {
    this.words = new Int32Array(buffer, 0, HEADER_WORDS)
    this.text = Buffer.from(buffer, HEADER_WORDS * 4)
  }

  /** Only the thread that evaluates calls this. A report that is too long is not published. */
  publish(insight: Insight): void {
    const text = Buffer.from(JSON.stringify(insight))
    if (text.length > this.text.length) return
    Atomics.add(this.words, SEQUENCE, 1)
    text.copy(this.text)
    this.words[BYTES] = text.length
    Atomics.add(this.words, SEQUENCE, 1)
  }

  /** The last report; null: nothing is sampled, or nothing was evaluated yet. */
  read(): Insight | null {
    for (let tries = 0; tries < READ_TRIES_MAX; tries++) {
      const before = Atomics.load(this.words, SEQUENCE)
      if (before === 0) return null
      const text = this.text.toString('utf8', 0, this.words[BYTES])
      const isWhole = before % 2 === 0 && Atomics.load(this.words, SEQUENCE) === before
      if (isWhole) return JSON.parse(text)
    }
    return null
  }
}
