// The least and the most nodes at one time, by the schedule: the entry whose time came last counts.

import { Cron } from 'croner'
import type { ScheduleEntry } from '../config/schema.ts'

export interface Bounds {
  least: number
  most: number
}

/** A pattern is looked up just after its own moment. */
const AFTER_MS = 1000

export class Schedule {
  private readonly always: Bounds
  private readonly entries: readonly { cron: Cron; least?: number; most?: number }[]

  constructor(always: Bounds, entries: readonly ScheduleEntry[]) {
    this.always = always
    this.entries = entries.map(({ at, zone, least, most }) => ({
      cron: new Cron(at, { paused: true, ...(zone !== undefined && { timezone: zone }) }),
      ...(least !== undefined && { least }),
      ...(most !== undefined && { most }),
    }))
  }

  boundsAt(nowMs: number): Bounds {
    let found: Partial<Bounds> = {}
    let foundMs = Number.NEGATIVE_INFINITY
    for (const { cron, ...bounds } of this.entries) {
      const [last] = cron.previousRuns(1, new Date(nowMs + AFTER_MS))
      const atMs = last?.getTime() ?? Number.NEGATIVE_INFINITY
      // Of two at the same moment the later one in the file counts.
      if (atMs < foundMs || atMs === Number.NEGATIVE_INFINITY) continue
      foundMs = atMs
      found = bounds
    }
    return { ...this.always, ...found }
  }
}
