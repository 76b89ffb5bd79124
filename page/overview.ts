// The first section: what the daemon does now, and did in the last minutes.

import type { CommandTimes, Sample } from '../lib/admin/shapes.ts'
import { Chart, type ChartOptions, type Say } from './chart.ts'
import { byId, column, RowTable, Tiles } from './dom.ts'
import { age, bytes, count, exact, micros, percent } from './figures.ts'
import type { History, Point } from './history.ts'

const CHARTS: readonly ChartOptions[] = [
  {
    title: 'Requests per second',
    scale: 'linear',
    format: count,
    lines: [
      { name: 'gets', color: '--series-1', of: ({ gets }) => gets },
      { name: 'sets', color: '--series-2', of: ({ sets }) => sets },
      { name: 'others', color: '--series-3', of: ({ others }) => others },
    ],
  },
  {
    title: 'Hit ratio',
    scale: 'share',
    format: value => percent(value),
    lines: [{ name: 'gets', color: '--series-4', of: ({ hitRatio }) => hitRatio }],
  },
  {
    title: 'Latency, read to reply',
    scale: 'log',
    format: micros,
    lines: [
      { name: 'p50', color: '--series-1', of: ({ p50Us }) => p50Us },
      { name: 'p99', color: '--series-5', of: ({ p99Us }) => p99Us },
    ],
  },
  {
    title: 'Evictions and expiries per second',
    scale: 'linear',
    format: count,
    lines: [
      { name: 'evicted', color: '--series-2', of: ({ evicted }) => evicted },
      { name: 'expired', color: '--series-3', of: ({ expired }) => expired },
    ],
  },
  {
    title: 'Bytes per second',
    scale: 'bytes',
    format: bytes,
    lines: [
      { name: 'out', color: '--series-1', of: ({ outBytes }) => outBytes },
      { name: 'in', color: '--series-2', of: ({ inBytes }) => inBytes },
    ],
  },
  {
    title: 'CPU of a worker',
    scale: 'share',
    format: value => percent(value, 0),
    lines: [
      { name: 'mean', color: '--series-1', of: ({ cpuMean }) => cpuMean },
      { name: 'busiest', color: '--series-5', of: ({ cpuMost }) => cpuMost },
    ],
  },
]

export class Overview {
  private readonly tiles = new Tiles(byId('tiles'))
  private readonly charts: Chart[]
  private readonly latency = new RowTable<CommandTimes>(
    byId('latency'),
    [
      column('Command', ({ command }) => command),
      column('Timed', row => exact(row.count)),
      column('p50', row => micros(row.p50Us)),
      column('p99', row => micros(row.p99Us)),
      column('p99.9', row => micros(row.p999Us)),
      column('Longest', row => micros(row.longestUs)),
    ],
    'No request was timed: one read in 64 is.',
  )

  constructor(say: Say) {
    const place = byId('charts')
    this.charts = CHARTS.map(options => new Chart(place, options, say))
  }

  show({ last, points }: History, windowS: number): void {
    if (last === null) return
    const now = points.at(-1)
    if (now !== undefined) this.showTiles(last, now)
    for (const chart of this.charts) chart.show(points, windowS)
    this.latency.show(last.latency)
  }

  private showTiles(last: Sample, now: Point): void {
    const { stats, memory } = last
    const stat = (row: string) => stats[row] ?? 0
    const { gets, sets, others } = now
    const all = gets === null || sets === null || others === null ? null : gets + sets + others
    const { tiles } = this
    tiles.show('Requests', perSecond(all), `${count(gets)} gets`)
    const overall = stat('cmd_get') === 0 ? null : stat('get_hits') / stat('cmd_get')
    tiles.show('Hit ratio', percent(now.hitRatio), `${percent(overall)} overall`)
    tiles.show('Latency p99', micros(now.p99Us), `p50 ${micros(now.p50Us)}`)
    tiles.show('Items', count(stat('curr_items')), `${count(stat('total_items'))} stored`)
    const share = memory.limitBytes === 0 ? 0 : memory.slabBytes / memory.limitBytes
    const limit = bytes(memory.limitBytes)
    tiles.show('Memory taken', bytes(memory.slabBytes), `${percent(share, 0)} of ${limit}`)
    tiles.show('Evictions', perSecond(now.evicted), `${count(stat('evictions'))} overall`)
    const refused = stat('rejected_connections')
    const opened = `${count(stat('total_connections'))} opened`
    const connections = exact(stat('curr_connections'))
    tiles.show('Connections', connections, refused > 0 ? `${count(refused)} refused` : opened)
    const since = new Date(last.atMs - stat('uptime') * 1000).toLocaleDateString()
    tiles.show('Running for', age(stat('uptime'), 1), `since ${since}`)
  }
}

function perSecond(rate: number | null): string {
  const text = count(rate)
  return text.includes(' ') ? `${text}/s` : `${text} /s`
}
