// What systemd hears all the time while the daemon serves: a line of status and, with WatchdogSec=,
// that all threads run. A thread that hangs would keep its clients waiting without end; so the
// watchdog is fed only while each of them runs.

import { MIB } from '../../bytes/units.ts'
import { say } from '../system/log.ts'

/** What is watched. */
export interface Watched {
  /**
   * One number for each thread that serves peers. It changes once a second while the thread runs;
   * -1: it is being replaced.
   */
  beats(): readonly number[]
  vitals(): Vitals
}

export interface Vitals {
  items: number
  usedBytes: number
  limitBytes: number
  lookups: number
  misses: number
  connections: number
}

/** Sends one message, such as `READY=1`. */
export type Send = (message: string) => void

/** How often status is sent if it has changed, and how often threads are looked at. */
const STATUS_MS = 10_000
const LOOKS_A_WATCHDOG = 4

const WATCHDOG_VARIABLE = 'WATCHDOG_USEC'
const WATCHDOG_PID_VARIABLE = 'WATCHDOG_PID'

export class ServiceWatch {
  private readonly send: Send
  /** 0: there is no watchdog. */
  readonly watchdogMs: number
  private beats: number[] = []
  /** When each thread's number was last seen to change. */
  private ranMs: number[] = []
  private lookedMs = Number.NEGATIVE_INFINITY
  private statusMs = Number.NEGATIVE_INFINITY
  private status = ''
  private isHungry = false
  private timer: NodeJS.Timeout | undefined

  constructor(send: Send, watchdogMs: number) {
    this.send = send
    this.watchdogMs = watchdogMs
  }

  /** Sends status, and the watchdog's food, from now on. */
  start(watched: Watched): void {
    const everyMs =
      this.watchdogMs === 0 ? STATUS_MS : Math.min(STATUS_MS, this.watchdogMs / LOOKS_A_WATCHDOG)
    this.timer = setInterval(() => this.look(watched, performance.now(), everyMs), everyMs).unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** One look at the threads. `everyMs`: after this time there is another one. */
  look(watched: Watched, nowMs: number, everyMs: number): void {
    // A process that was paused as a whole has no thread that hangs.
    const wasPaused = nowMs - this.lookedMs > 2 * everyMs
    this.lookedMs = nowMs
    const beats = watched.beats()
    this.ranMs = beats.map((beat, i) => {
      const hasRun = wasPaused || beat < 0 || beat !== this.beats[i]
      return hasRun ? nowMs : (this.ranMs[i] ?? nowMs)
    })
    this.beats = [...beats]
    if (this.watchdogMs > 0) this.feed(nowMs)
    if (nowMs - this.statusMs < STATUS_MS) return
    this.statusMs = nowMs
    const status = statusOf(watched.vitals())
    if (status !== this.status) this.send(`STATUS=${status}`)
    this.status = status
  }

  private feed(nowMs: number): void {
    const hung = this.ranMs.findIndex(ranMs => nowMs - ranMs > this.watchdogMs / 2)
    if (hung < 0) this.send('WATCHDOG=1')
    else if (!this.isHungry) {
      const seconds = Math.round((nowMs - this.ranMs[hung]) / 1000)
      say(`worker ${hung} has not run for ${seconds} s: the watchdog is not fed`, 'error')
    }
    this.isHungry = hung >= 0
  }
}

/** `12 items, 3 of 64 MiB, hit ratio 98.2 %, 4 connections`. */
function statusOf({ items, usedBytes, limitBytes, lookups, misses, connections }: Vitals): string {
  const used = `${Math.round(usedBytes / MIB)} of ${Math.round(limitBytes / MIB)} MiB`
  const ratio = lookups === 0 ? '-' : `${((1 - misses / lookups) * 100).toFixed(1)} %`
  return `${items} items, ${used}, hit ratio ${ratio}, ${connections} connections`
}

/** How long the watchdog waits, ms; 0: there is none, or it is for another process. */
export function watchdogMs(): number {
  const pid = process.env[WATCHDOG_PID_VARIABLE]
  if (pid !== undefined && Number(pid) !== process.pid) return 0
  const us = Number(process.env[WATCHDOG_VARIABLE])
  return us > 0 ? us / 1000 : 0
}
