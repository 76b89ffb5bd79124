// Delays of answers to names and passwords: none for the first failures, then growing with each, up
// to a bound. Failures count for the connection and for the peer's address, so a new connection
// does not start from zero. An address is forgiven with time.
//
// A right password is answered at once unless its own connection failed before, so that a client
// with an old password does not slow others at its address. Only an address that keeps failing
// waits for right answers too: otherwise a guesser could read a fast answer as yes and a slow one
// as no.

/** Failures of a connection or of an address that are answered at once. */
export const AUTH_FAILURES_FREE = 3

/** Each further answer waits twice as long as the one before, between these bounds. */
export const AUTH_DELAY_MS_MIN = 100
export const AUTH_DELAY_MS_MAX = 2000

/** Addresses with failures that each worker remembers; time in which one failure is forgiven. */
export const AUTH_ADDRESSES_MAX = 1024
export const AUTH_FORGIVE_MS = 1000

/** An address with more failures than this waits for right answers too. */
export const AUTH_ADDRESS_FAILURES_FREE = 64

interface Offender {
  failures: number
  lastMs: number
}

export class Penalties {
  /** The address that failed longest ago comes first. */
  private readonly offenders = new Map<string, Offender>()

  /** Delay of the answer to a claim of a connection with this number of failures, ms. */
  judge(address: string, failures: number, right: boolean, nowMs: number): number {
    if (!right) this.note(address, nowMs)
    const together = this.failuresOf(address, nowMs)
    const counted = right ? together - AUTH_ADDRESS_FAILURES_FREE : together
    return delayAfter(Math.max(failures, counted))
  }

  /** Failures of an address that are not yet forgiven. */
  failuresOf(address: string, nowMs: number): number {
    const offender = this.offenders.get(address)
    if (offender === undefined) return 0
    const forgiven = Math.floor((nowMs - offender.lastMs) / AUTH_FORGIVE_MS)
    return Math.max(0, offender.failures - forgiven)
  }

  private note(address: string, nowMs: number): void {
    const before = Math.min(this.failuresOf(address, nowMs), 2 * AUTH_ADDRESS_FAILURES_FREE)
    this.offenders.delete(address)
    if (this.offenders.size === AUTH_ADDRESSES_MAX) {
      const [oldest] = this.offenders.keys()
      this.offenders.delete(oldest)
    }
    this.offenders.set(address, { failures: before + 1, lastMs: nowMs })
  }
}

/** Delay of the answer after this number of failures, ms. */
export function delayAfter(failures: number): number {
  if (failures <= AUTH_FAILURES_FREE) return 0
  return Math.min(AUTH_DELAY_MS_MIN * 2 ** (failures - AUTH_FAILURES_FREE - 1), AUTH_DELAY_MS_MAX)
}
