// A connection under --acl: charges what its peer does to the meters of its user and its address,
// and pauses it while one of them owes more than a second's worth. It is not read from meanwhile,
// so a client feels a slow server, and no request is lost or answered out of turn.
//
// What a read brings runs to its end and is charged after it; who owes waits before the next one.

import { type Meters, NO_METER } from '../access/meters.ts'
import type { Area } from '../bytes/area.ts'
import { ThreadCounter } from '../protocol/host.ts'
import { Connection, Flow } from './connection.ts'

export class LimitedConnection extends Connection {
  private requestsSeen = 0

  override read(input: Area, start: number, bytes: number): boolean {
    if (this.flow < Flow.SENDING) this.waitForLimits()
    const before = this.bytesSoFar()
    const goesOn = super.read(input, start, bytes)
    this.charge(before)
    return goesOn
  }

  override filled(bytes: number): boolean {
    const before = this.bytesSoFar()
    const goesOn = super.filled(bytes)
    this.charge(before)
    return this.flow < Flow.SENDING && this.waitForLimits() ? false : goesOn
  }

  /** Closes the connection if its token expired, or the file has its user no more. */
  endIfOver(): void {
    const { pass } = this.session
    pass?.refresh()
    if (pass?.isOver !== true || this.flow >= Flow.CLOSING) return
    this.hall.host.counters[ThreadCounter.LOGINS_ENDED]++
    this.leave()
  }

  protected override goOn(): void {
    if (this.waitForLimits()) return
    const before = this.bytesSoFar()
    super.goOn()
    this.charge(before)
  }

  /** Pauses if a meter owes too much. */
  private waitForLimits(): boolean {
    const { meters } = this.hall.roster
    if (meters === null) return false
    const nowMs = Date.now()
    const waitMs = Math.max(
      waitOf(meters, this.session.pass?.meter ?? NO_METER, nowMs),
      waitOf(meters, this.hall.roster.addressMeterOf(this.slot), nowMs),
    )
    if (waitMs === 0) return false
    this.hall.host.counters[ThreadCounter.READS_DELAYED]++
    this.pause(waitMs)
    return true
  }

  private bytesSoFar(): number {
    const { counters } = this.hall.host
    return counters[ThreadCounter.BYTES_READ] + counters[ThreadCounter.BYTES_WRITTEN]
  }

  private charge(before: number): void {
    const { session, hall, slot } = this
    const { pass, requestCount } = session
    const { meters } = hall.roster
    if (pass === null || meters === null) return
    // A get of many keys is many; a command that names no key is one.
    const requests = Math.max(pass.asked, requestCount - this.requestsSeen)
    this.requestsSeen = requestCount
    hall.host.counters[ThreadCounter.REQUESTS_DENIED] += pass.refused
    pass.asked = 0
    pass.refused = 0
    const bytes = this.bytesSoFar() - before
    if (pass.meter !== NO_METER) meters.charge(pass.meter, requests, bytes)
    const ofAddress = hall.roster.addressMeterOf(slot)
    if (ofAddress !== NO_METER) meters.charge(ofAddress, requests, bytes)
  }
}

function waitOf(meters: Meters, meter: number, nowMs: number): number {
  return meter === NO_METER ? 0 : meters.waitMs(meter, nowMs)
}
