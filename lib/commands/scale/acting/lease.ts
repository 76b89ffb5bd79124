// The seat as an entry in etcd, under a lease that is kept alive. The holder counts the lease's
// time by its own clock, from before it asked: it stops before another one can begin.
//
//   STATE leader    the name of the scaler that acts

import { setTimeout as sleep } from 'node:timers/promises'
import type { EtcdGateway } from '../../../etcd/gateway.ts'
import { ETCD_LEAVE_MS, ETCD_RETRY_MS } from '../../../etcd/limits.ts'
import { LEASE_MARGIN, LEASE_RENEWALS } from '../limits.ts'
import type { Seat, Tell } from './seat.ts'

export interface LeaseOptions {
  key: string
  /** This scaler, for the others to read. */
  name: string
  ttlMs: number
}

export class LeaseSeat implements Seat {
  private readonly etcd: EtcdGateway
  private readonly options: LeaseOptions
  private readonly tell: Tell
  private readonly stop = new AbortController()
  private readonly done: Promise<void>
  private current: AbortController | null = null
  private lease: string | undefined
  /** Until then nobody else can hold the seat. */
  private untilMs = 0
  private told = ''

  constructor(etcd: EtcdGateway, options: LeaseOptions, tell: Tell) {
    this.etcd = etcd
    this.options = options
    this.tell = tell
    this.done = this.run()
  }

  term(): AbortSignal | null {
    // A process that stood still finds out here, before any timer runs.
    if (this.current !== null && performance.now() >= this.untilMs) this.lose('the lease ran out')
    return this.current?.signal ?? null
  }

  async close(): Promise<void> {
    this.stop.abort()
    this.lose('')
    await this.done
    if (this.lease === undefined) return
    await this.etcd.revoke(this.lease, AbortSignal.timeout(ETCD_LEAVE_MS)).catch(() => {})
  }

  private async run(): Promise<void> {
    const { signal } = this.stop
    while (!signal.aborted) {
      let restMs = this.options.ttlMs / LEASE_RENEWALS
      try {
        await this.renew()
      } catch (error) {
        if (signal.aborted) return
        restMs = Math.min(restMs, ETCD_RETRY_MS)
        this.say(`etcd: ${error instanceof Error ? error.message : error}`)
      }
      const leftMs = this.current === null ? restMs : this.untilMs - performance.now()
      await sleep(Math.max(0, Math.min(restMs, leftMs)), undefined, { signal }).catch(() => {})
      this.term()
    }
  }

  private async renew(): Promise<void> {
    const askedMs = performance.now()
    const { signal } = this.stop
    // It must not wait beyond the time in which the seat is its own.
    const leftMs = this.current === null ? this.options.ttlMs : this.untilMs - askedMs
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, Math.ceil(leftMs)))])
    if (this.current !== null && this.lease !== undefined) {
      if (await this.etcd.keepAlive(this.lease, inTime)) return this.hold(askedMs)
      this.lease = undefined
      return this.lose('the lease is gone')
    }
    await this.claim(askedMs, inTime)
  }

  private async claim(askedMs: number, signal: AbortSignal): Promise<void> {
    const { key, name, ttlMs } = this.options
    const holder = await this.etcd.read(key, signal)
    if (holder !== undefined) {
      const isOwn = this.lease !== undefined && holder.lease === this.lease
      if (isOwn && (await this.etcd.keepAlive(holder.lease ?? '', signal))) {
        return this.hold(askedMs)
      }
      return this.say(`standing by: ${holder.value} acts`)
    }
    this.lease = await this.etcd.grant(Math.ceil(ttlMs / 1000), signal)
    if (await this.etcd.create(key, name, this.lease, signal)) return this.hold(askedMs)
    await this.etcd.revoke(this.lease, signal)
    this.lease = undefined
  }

  private hold(askedMs: number): void {
    if (this.stop.signal.aborted) return
    this.untilMs = askedMs + this.options.ttlMs * (1 - LEASE_MARGIN)
    if (this.current === null) this.say('acting')
    this.current ??= new AbortController()
  }

  private lose(reason: string): void {
    if (this.current === null) return
    this.current.abort(new Error('this scaler does not act any more'))
    this.current = null
    if (reason !== '') this.say(`not acting: ${reason}`)
  }

  /** Each line once, until another one comes. */
  private say(line: string): void {
    if (line === this.told) return
    this.told = line
    this.tell(line)
  }
}
