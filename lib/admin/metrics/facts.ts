// What a metric is: its name, type and help, and how its samples follow from the daemon's facts.
// The tables of metrics are exporter.ts and own.ts; registry.ts gives them to prom-client.

import type { Host } from '../../protocol/host.ts'
import { statRows } from '../../protocol/report/report.ts'

export type Labels = Record<string, string>

export interface Sample {
  labels?: Labels
  value: number
}

export interface MetricRow {
  name: string
  type: 'counter' | 'gauge'
  help: string
  /** Names of labels; none: one sample without labels. */
  labels?: readonly string[]
  /** Null: the daemon has no such fact now, and there is no sample. */
  read(facts: Facts): number | Sample[] | null
}

/** Facts that only the main thread has. Reading one asks no other thread. */
export interface MainFacts {
  /** Workers that take connections, and those of them that use io_uring. */
  workersReady(): number
  workersWithUring(): number
  usesUring(worker: number): boolean
  /** The number of the main thread among the workers' numbers. */
  mainThread: number
  /** How many connections a worker serves. */
  loadOf(worker: number): number
  /** A ThreadCounter of one worker. */
  counterOf(worker: number, counter: number): number
  /** Whether etcd has this daemon, 1 or 0; null: it does not register. */
  registered(): number | null
  /** Null: the daemon writes no snapshots. */
  snapshots(): SnapshotFacts | null
}

/** What has become of the snapshots of the daemon so far. */
export interface SnapshotFacts {
  written: number
  failed: number
  /** Of the last one that was written: Unix time at its end, duration, size, items. 0: none yet. */
  lastMs: number
  lastTookMs: number
  lastBytes: number
  lastItems: number
}

/** The reports of one scrape. Each is made at most once. */
export class Facts {
  readonly host: Host
  readonly main: MainFacts
  private readonly reports = new Map<string, Map<string, string | number>>()

  constructor(host: Host, main: MainFacts) {
    this.host = host
    this.main = main
  }

  /** The rows of `stats name`. */
  report(name: string): Map<string, string | number> {
    let rows = this.reports.get(name)
    if (rows === undefined) {
      rows = statRows(this.host, name)
      this.reports.set(name, rows)
    }
    return rows
  }

  /** A number of `stats`; null if there is no such row. */
  stat(row: string): number | null {
    return this.number('', row)
  }

  /** A number of `stats settings`, 1 for `yes`; null if there is no such row. */
  setting(row: string): number | null {
    return this.number('settings', row)
  }

  number(report: string, row: string): number | null {
    const value = this.report(report).get(row)
    if (value === undefined) return null
    if (value === 'yes' || value === 'on') return 1
    if (value === 'no' || value === 'off') return 0
    return Number(value)
  }

  /** The slab classes of a report whose rows begin with the number of a class. */
  classes(report: 'slabs' | 'items'): string[] {
    const form = report === 'slabs' ? /^(\d+):chunk_size$/ : /^items:(\d+):number$/
    return [...this.report(report).keys()].flatMap(row => form.exec(row)?.[1] ?? [])
  }
}
