// Limits in shared memory: how many connections somebody has, and how much he may do a second. Each
// user, each signer of tokens and each address with limits has a meter. All threads charge it.
//
//   CONNECTIONS  open now | CONNECTIONS_MAX
//   OWED         requests, or bytes, that were charged and not yet forgiven
//   RATE         as many are forgiven a second
//   AT_MS        up to when that was done, on a clock of 31 bits
//
// A rate or a most of 0 is no limit. Whoever owes more than a second's worth waits until he does
// not: a burst of a second is free, and what was done is never undone.

import { type Limits, NO_LIMITS } from './acl.ts'

/** Longest wait at a time, ms; then it is asked again. */
export const LIMIT_WAIT_MS_MAX = 1000

/** Most that is owed, and charged at once: sums fit 31 bits. */
const OWED_MAX = 2 ** 30
const CHARGE_MAX = 2 ** 29
/** After so long everything is forgiven. */
const FORGET_MS = 60_000
const CLOCK_MASK = 0x7fffffff

const CONNECTIONS = 0
const CONNECTIONS_MAX = 1
/** Two accounts, each OWED, RATE, AT_MS. */
const REQUESTS = 2
const BYTES = 5
const OWED = 0
const RATE = 1
const AT_MS = 2
const METER_WORDS = 8

/** Index of no meter. */
export const NO_METER = -1

export class Meters {
  readonly buffer: SharedArrayBuffer
  private readonly words: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.words = new Int32Array(buffer)
  }

  static create(count: number): Meters {
    return new Meters(new SharedArrayBuffer(count * METER_WORDS * 4))
  }

  get count(): number {
    return this.words.length / METER_WORDS
  }

  /** Sets the limits of a meter; what is owed stays. */
  limit(meter: number, { connections, requests, bytes }: Limits): void {
    const at = meter * METER_WORDS
    Atomics.store(this.words, at + CONNECTIONS_MAX, connections)
    Atomics.store(this.words, at + REQUESTS + RATE, requests)
    Atomics.store(this.words, at + BYTES + RATE, bytes)
  }

  /** Makes a meter new. */
  clear(meter: number): void {
    this.words.fill(0, meter * METER_WORDS, (meter + 1) * METER_WORDS)
    this.limit(meter, NO_LIMITS)
  }

  /** One connection more; false: there are too many. */
  join(meter: number): boolean {
    const at = meter * METER_WORDS
    const before = Atomics.add(this.words, at + CONNECTIONS, 1)
    const most = Atomics.load(this.words, at + CONNECTIONS_MAX)
    if (most === 0 || before < most) return true
    this.leave(meter)
    return false
  }

  leave(meter: number): void {
    Atomics.sub(this.words, meter * METER_WORDS + CONNECTIONS, 1)
  }

  connectionsOf(meter: number): number {
    return Atomics.load(this.words, meter * METER_WORDS + CONNECTIONS)
  }

  /** Charges what was done. */
  charge(meter: number, requests: number, bytes: number): void {
    const at = meter * METER_WORDS
    this.add(at + REQUESTS, requests)
    this.add(at + BYTES, bytes)
  }

  /** How long to wait before more may be done, ms; 0: now. `nowMs`: Date.now(). */
  waitMs(meter: number, nowMs: number): number {
    const at = meter * METER_WORDS
    return Math.max(this.waitOf(at + REQUESTS, nowMs), this.waitOf(at + BYTES, nowMs))
  }

  private add(at: number, amount: number): void {
    if (this.words[at + RATE] === 0 || amount <= 0) return
    if (Atomics.load(this.words, at + OWED) >= OWED_MAX) return
    Atomics.add(this.words, at + OWED, Math.min(amount, CHARGE_MAX))
  }

  private waitOf(at: number, nowMs: number): number {
    const rate = this.words[at + RATE]
    if (rate === 0) return 0
    this.forgive(at, rate, nowMs & CLOCK_MASK)
    const owed = Atomics.load(this.words, at + OWED)
    if (owed <= rate) return 0
    return Math.min(LIMIT_WAIT_MS_MAX, Math.ceil(((owed - rate) * 1000) / rate))
  }

  private forgive(at: number, rate: number, nowMs: number): void {
    const { words } = this
    const fromMs = Atomics.load(words, at + AT_MS)
    const passedMs = nowMs - fromMs
    const isLong = passedMs > FORGET_MS
    // A clock that was set back starts anew.
    if (passedMs < 0 || isLong) {
      const isOurs = Atomics.compareExchange(words, at + AT_MS, fromMs, nowMs) === fromMs
      if (isOurs && isLong) Atomics.store(words, at + OWED, 0)
      return
    }
    const amount = Math.floor((passedMs * rate) / 1000)
    if (amount === 0) return
    const untilMs = fromMs + Math.floor((amount * 1000) / rate)
    // Whoever moves the clock forgives; others add meanwhile.
    if (Atomics.compareExchange(words, at + AT_MS, fromMs, untilMs) !== fromMs) return
    Atomics.sub(words, at + OWED, Math.min(amount, Atomics.load(words, at + OWED)))
  }
}
