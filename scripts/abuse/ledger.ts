// What the neighbours saw, by attack and server, and how it is printed.

import { Histogram } from '../bench/histogram.ts'
import type { Attack } from './attack.ts'
import type { Outcome } from './run.ts'
import type { TimesReport } from './threads.ts'

const NAME_CHARS = 22
const COLUMN_CHARS = 10
const COLUMNS = ['p50 ms', 'p99 ms', 'longest', 'connect', 'requests', 'misses', 'refused']

interface Entry {
  requests: Histogram
  connects: Histogram
  misses: number
  refused: number
}

export class Ledger {
  readonly faults: string[] = []
  private readonly servers: readonly string[]
  private readonly entries = new Map<string, Entry>()

  constructor(servers: readonly string[]) {
    this.servers = servers
    console.log(row('attack', 'server', COLUMNS))
  }

  add(attack: Attack | null, server: string, { seen, faults }: Outcome): void {
    const entry = this.entryOf(attack, server)
    addTimes(entry.requests, seen.requests)
    addTimes(entry.connects, seen.connects)
    entry.misses += seen.misses
    entry.refused += seen.refused
    for (const fault of faults) this.faults.push(`${nameOf(attack)}, ${server}: ${fault}`)
  }

  /** A row for each server, and one with the first one's times over the second one's. */
  rowsOf(attack: Attack | null): string {
    const rows = this.servers.map(server => {
      const { requests, connects, misses, refused } = this.entryOf(attack, server)
      const times = timesOf(requests, connects).map(ms => ms.toFixed(2))
      const counts = [requests.total, misses, refused].map(String)
      return row(nameOf(attack), server, [...times, ...counts])
    })
    if (this.servers.length < 2) return rows.join('\n')
    const [own, other] = this.servers.map(server => {
      const { requests, connects } = this.entryOf(attack, server)
      return timesOf(requests, connects)
    })
    const ratios = own.map((ms, i) => `${(ms / other[i]).toFixed(2)} x`)
    return [...rows, row('', 'ratio', ratios)].join('\n')
  }

  private entryOf(attack: Attack | null, server: string): Entry {
    const key = `${nameOf(attack)}/${server}`
    const known = this.entries.get(key)
    if (known !== undefined) return known
    const made = { requests: new Histogram(), connects: new Histogram(), misses: 0, refused: 0 }
    this.entries.set(key, made)
    return made
  }
}

/** In the order of COLUMNS, milliseconds. A connect is shown by its p99. */
function timesOf(requests: Histogram, connects: Histogram): number[] {
  const percentiles = [50, 99].map(percent => requests.percentileUs(percent))
  return [...percentiles, requests.longestUs, connects.percentileUs(99)].map(us => us / 1000)
}

function addTimes(to: Histogram, { counts, total, longestUs }: TimesReport): void {
  for (let i = 0; i < counts.length; i++) to.counts[i] += counts[i]
  to.total += total
  to.longestUs = Math.max(to.longestUs, longestUs)
}

function nameOf(attack: Attack | null): string {
  return attack?.name ?? 'no attack'
}

function row(attack: string, server: string, columns: readonly string[]): string {
  const padded = columns.map(column => column.padStart(COLUMN_CHARS)).join('')
  return `${attack.padEnd(NAME_CHARS)}${server.padEnd(COLUMN_CHARS)}${padded}`
}
