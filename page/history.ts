// The samples of the last minutes as points of the charts: what happened in the time between two
// samples, by the second. Null where that is not known: at first, after a pause of the stream, and
// where counters began again.

import type { Sample } from '../lib/admin/shapes.ts'

/** Points that are kept: a quarter of an hour. */
export const POINTS_MAX = 900

/** Two samples farther apart have a gap between them. */
const GAP_MS_MAX = 5000

export interface Point {
  /** Unix time, seconds. */
  atS: number
  gets: number | null
  sets: number | null
  others: number | null
  hitRatio: number | null
  p50Us: number | null
  p99Us: number | null
  inBytes: number | null
  outBytes: number | null
  evicted: number | null
  expired: number | null
  /** Share of a core, mean and largest of the workers. */
  cpuMean: number | null
  cpuMost: number | null
}

const EXPIRED = ['reclaimed', 'crawler_reclaimed']

export class History {
  readonly points: Point[] = []
  /** The last sample and the one before. */
  last: Sample | null = null
  before: Sample | null = null

  push(sample: Sample): void {
    this.before = this.last
    this.last = sample
    this.points.push(pointOf(this.before, sample))
    if (this.points.length > POINTS_MAX) this.points.shift()
  }

  /** A counter of an arena by the second. */
  lockWaitRate(arena: number): number | null {
    const { last, before } = this
    const [now, then] = [last?.arenas[arena], before?.arenas[arena]]
    if (last === null || before === null || now === undefined || then === undefined) return null
    return rate(before, last, then.lockWaits, now.lockWaits)
  }

  /** Share of a core that a worker or, last, the main thread takes. */
  threadLoad(number: number): number | null {
    return this.last === null ? null : loadOf(this.before, this.last, number)
  }

  /** A counter of each slab class by the second since the sample before; null if not known. */
  classRate(id: number, counter: 'evicted' | 'evictedUnfetched'): number | null {
    const { last, before } = this
    const now = last?.classes.find(one => one.id === id)
    if (last === null || before === null || now === undefined) return null
    const then = before.classes.find(one => one.id === id)
    return rate(before, last, (then?.[counter] ?? 0) as number, now[counter])
  }
}

export function pointOf(before: Sample | null, now: Sample): Point {
  const of = (...rows: string[]) => {
    if (before === null) return null
    return rate(before, now, sum(before, rows), sum(now, rows))
  }
  const gets = of('cmd_get')
  const hits = of('get_hits')
  const all = now.latency[0]
  const loads = now.workers.slice(0, -1).map((_, worker) => loadOf(before, now, worker))
  const known = loads.filter(load => load !== null)
  return {
    atS: now.atMs / 1000,
    gets,
    sets: of('cmd_set'),
    others: before === null ? null : rate(before, now, before.others, now.others),
    hitRatio: gets === null || hits === null || gets === 0 ? null : hits / gets,
    p50Us: all?.p50Us ?? null,
    p99Us: all?.p99Us ?? null,
    inBytes: of('bytes_read'),
    outBytes: of('bytes_written'),
    evicted: of('evictions'),
    expired: of(...EXPIRED),
    cpuMean: known.length === 0 ? null : known.reduce((a, b) => a + b) / known.length,
    cpuMost: known.length === 0 ? null : Math.max(...known),
  }
}

function loadOf(before: Sample | null, now: Sample, thread: number): number | null {
  const [then, since] = [before?.workers[thread], now.workers[thread]]
  if (before === null || then === undefined || since === undefined) return null
  const us = rate(before, now, then.cpuUs, since.cpuUs)
  return us === null ? null : us / 1e6
}

function sum({ stats }: Sample, rows: readonly string[]): number {
  return rows.reduce((total, row) => total + (stats[row] ?? 0), 0)
}

function rate(before: Sample, now: Sample, from: number, to: number): number | null {
  const ms = now.atMs - before.atMs
  return ms <= 0 || ms > GAP_MS_MAX || to < from ? null : ((to - from) * 1000) / ms
}
