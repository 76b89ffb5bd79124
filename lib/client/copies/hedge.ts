// Hedged reads. A read that its first server has not answered after a while is sent to another
// holder of the key too, and the value that comes first is the answer.
//
//   first     ── asked ────────────────────────────> its answer is dropped
//   second              after a while ── asked ──> a value ──> the caller
//
// A miss or a failure of the second decides nothing: then the first is waited for, as ever. The
// while is a fixed time, or that in which most answers of the second server came lately. It is the
// second's, because a slow first server would put off the very requests that are to avoid it.
//
// Every read earns a share of a request, and every hedge spends what it sends: servers that are all
// slow get no more than that share on top. While a call of this client changes a key, the second
// is neither asked for it nor heard: the copies may differ until that has settled.

import { POOL_HEDGES, type PoolHedge } from '../../doors/channels.ts'
import { loopClock } from '../loop-clock.ts'
import type { Member } from '../members/members.ts'

export interface HedgeOptions {
  /** A second server is asked after this time, ms. Undefined: `percentile` decides. */
  afterMs?: number | undefined
  /**
   * .. or after the time in which this share of the second server's recent answers came, per cent.
   * 50 to 99.9, default 95. Nothing is hedged before some answers of it are known.
   */
  percentile?: number | undefined
  /** Most requests that hedging adds, as a share of the reads. Above 0 to 1, default 0.05. */
  share?: number | undefined
}

/** The options with their defaults. */
export interface HedgeTerms {
  afterMs: number | undefined
  percentile: number
  share: number
}

/** What a read asks for: many keys take longer. */
export type HedgeKind = 'one' | 'many'

/** A read that may be hedged. */
export interface Hedgeable {
  kind: HedgeKind
  keys: readonly string[]
  first: Member
  /** Those that would be asked. */
  seconds: readonly Member[]
  /** The answer of the first. */
  answer: Promise<unknown>
  /**
   * Asks the seconds. Resolves with whether they gave values for all keys. Undefined: they may not
   * be asked any more.
   */
  ask(): Promise<boolean> | undefined
}

/** Requests that may be saved up for hedges, and the error that sums of shares may have. */
const HEDGE_SAVED_MAX = 100
const HEDGE_SAVED_ERROR = 1e-6

/** Timers are no finer. */
const HEDGE_MS_MIN = 1

/** Answers that a percentile is of, the fewest that give one, and how often it is computed. */
const WINDOW_ANSWERS = 256
const WINDOW_ANSWERS_MIN = 32

export class Hedge {
  private readonly terms: HedgeTerms
  private readonly windows = new WeakMap<Member, Record<HedgeKind, RecentAnswers>>()
  /** Calls that change a key, by key. */
  private readonly changing = new Map<string, number>()
  private saved = 0

  constructor(terms: HedgeTerms) {
    this.terms = terms
  }

  /** While this call runs, reads of the key are not hedged. */
  during<T>(key: string, call: Promise<T>): Promise<T> {
    const { changing } = this
    changing.set(key, (changing.get(key) ?? 0) + 1)
    return call.finally(() => {
      const count = changing.get(key) ?? 0
      if (count > 1) changing.set(key, count - 1)
      else changing.delete(key)
    })
  }

  /** Measures how long a server takes for an answer. */
  async measure<T>(member: Member, kind: HedgeKind, answer: Promise<T>): Promise<T> {
    const beganMs = loopClock.nowMs()
    const answered = await answer
    this.windowOf(member, kind).add(loopClock.nowMs() - beganMs)
    return answered
  }

  /**
   * Resolves with true if the seconds were asked and gave all values before the first answered, and
   * with false as soon as it has. Never rejects.
   */
  isWon(read: Hedgeable): Promise<boolean> {
    this.saved = Math.min(this.saved + this.terms.share, HEDGE_SAVED_MAX)
    const delayMs = this.delayMs(read)
    if (delayMs === undefined) return read.answer.then(isLost, isLost)
    return new Promise(resolve => {
      let late: NodeJS.Immediate | undefined
      let isSent = false
      const settle = (isWon: boolean) => {
        clearTimeout(timer)
        clearImmediate(late)
        if (isSent) this.tell(read, delayMs, isWon ? 'won' : 'lost')
        isSent = false
        resolve(isWon)
      }
      const send = () => {
        const asked = this.begin(read, delayMs)
        isSent = asked !== undefined
        asked?.then(isEnough => isEnough && isSent && !this.isChanging(read) && settle(true))
      }
      // Timers run before the loop reads sockets, immediates after: the answer may be there.
      const timer = setTimeout(() => {
        late = setImmediate(send)
      }, delayMs)
      const lose = () => settle(false)
      read.answer.then(lose, lose)
    })
  }

  /** Asks the seconds, unless that is too much. */
  private begin(read: Hedgeable, delayMs: number): Promise<boolean> | undefined {
    if (this.isChanging(read)) return undefined
    const { length } = read.seconds
    if (this.saved + HEDGE_SAVED_ERROR < length) {
      this.tell(read, delayMs, 'refused')
      return undefined
    }
    const asked = read.ask()
    if (asked !== undefined) this.saved -= length
    return asked
  }

  private isChanging({ keys }: Hedgeable): boolean {
    return this.changing.size > 0 && keys.some(key => this.changing.has(key))
  }

  /** Undefined: too little is known of the seconds. */
  private delayMs({ kind, seconds }: Hedgeable): number | undefined {
    const { afterMs } = this.terms
    if (afterMs !== undefined) return afterMs
    let delayMs = HEDGE_MS_MIN
    for (const member of seconds) {
      const { usualMs } = this.windowOf(member, kind)
      if (usualMs === undefined) return undefined
      delayMs = Math.max(delayMs, usualMs)
    }
    return delayMs
  }

  private windowOf(member: Member, kind: HedgeKind): RecentAnswers {
    const known = this.windows.get(member)
    if (known !== undefined) return known[kind]
    const { percentile } = this.terms
    const windows = { one: new RecentAnswers(percentile), many: new RecentAnswers(percentile) }
    this.windows.set(member, windows)
    return windows[kind]
  }

  private tell(
    { first, seconds, keys }: Hedgeable,
    afterMs: number,
    outcome: PoolHedge['outcome'],
  ) {
    if (!POOL_HEDGES.hasSubscribers) return
    const servers = seconds.map(({ node }) => node.name)
    const message: PoolHedge = {
      slow: first.node.name,
      servers,
      keys: keys.length,
      afterMs,
      outcome,
    }
    POOL_HEDGES.publish(message)
  }
}

/** The latest answers of a server. */
class RecentAnswers {
  /** The time in which most of them came, ms; undefined: there are too few. */
  usualMs: number | undefined
  private readonly share: number
  private readonly times = new Float64Array(WINDOW_ANSWERS)
  private count = 0

  constructor(percentile: number) {
    this.share = percentile / 100
  }

  add(ms: number): void {
    this.times[this.count % WINDOW_ANSWERS] = ms
    this.count++
    if (this.count % WINDOW_ANSWERS_MIN !== 0) return
    const known = this.times.slice(0, this.count).sort()
    this.usualMs = known[Math.ceil(this.share * known.length) - 1]
  }
}

function isLost(): boolean {
  return false
}
