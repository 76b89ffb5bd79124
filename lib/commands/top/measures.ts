// What `memslab top` shows of a server: figures of one sample and rates since the one before.

import { OTHER_REQUESTS } from '../../bytes/memcached.ts'
import {
  type ClassRow,
  classesOf,
  type HotKey,
  hotKeysOf,
  numberOf,
  rateOf,
  type Sample,
  sumOf,
  versionOf,
} from '../servers/sample.ts'

const GETS = ['cmd_get']

/** Figures of several servers add up to one of the pool. Rates are per second. */
const SUMMED = [
  'gets',
  'sets',
  'others',
  'evictions',
  'items',
  'bytes',
  'limitBytes',
  'connections',
  'connectionsMax',
  'readBytes',
  'writtenBytes',
] as const

/** A number that is not known is null, also in JSON. */
type Figures = Record<(typeof SUMMED)[number], number | null>

export interface Measures extends Figures {
  server: string
  /** Why it does not answer; null: it does. */
  fault: string | null
  version: string | null
  uptimeS: number | null
  /** Of the gets since the last sample; without any, of all. */
  hitPercent: number | null
  hotKeys: HotKey[]
  classes: ClassRow[]
}

/** `before` undefined: there are no rates yet. */
export function measure(server: string, before: Sample | undefined, now: Sample): Measures {
  const rate = (names: readonly string[]) =>
    before === undefined ? null : known(rateOf(before, now, names))
  const { general } = now
  const of = (name: string) => known(numberOf(general, name))
  return {
    server,
    fault: null,
    version: versionOf(now),
    uptimeS: of('uptime'),
    gets: rate(GETS),
    sets: rate(['cmd_set']),
    others: rate(OTHER_REQUESTS),
    hitPercent: hitPercent(before, now),
    evictions: rate(['evictions']),
    items: of('curr_items'),
    bytes: of('bytes'),
    limitBytes: of('limit_maxbytes'),
    connections: of('curr_connections'),
    connectionsMax: of('max_connections'),
    readBytes: rate(['bytes_read']),
    writtenBytes: rate(['bytes_written']),
    hotKeys: hotKeysOf(now),
    classes: classesOf(now),
  }
}

/** A server that does not answer. */
export function unmeasured(server: string, fault: string): Measures {
  const rest = { version: null, uptimeS: null, hitPercent: null, hotKeys: [], classes: [] }
  return { server, fault, ...figuresOf(() => null), ...rest }
}

/** All servers as one: sums, and the hit ratio weighted by gets. */
export function totalOf(all: readonly Measures[]): Measures {
  const up = all.filter(({ fault }) => fault === null)
  const sum = (read: (measures: Measures) => number | null) => {
    const values = up.map(read).filter(value => value !== null)
    return values.length === 0 ? null : values.reduce((a, b) => a + b, 0)
  }
  const total = figuresOf(name => sum(measures => measures[name]))
  const hits = sum(({ gets, hitPercent }) =>
    gets === null || hitPercent === null ? null : gets * hitPercent,
  )
  return {
    ...unmeasured(`${up.length} of ${all.length}`, ''),
    ...total,
    fault: null,
    hitPercent: hits === null || !total.gets ? null : hits / total.gets,
  }
}

function figuresOf(of: (name: keyof Figures) => number | null): Figures {
  return Object.fromEntries(SUMMED.map(name => [name, of(name)])) as Figures
}

function hitPercent(before: Sample | undefined, now: Sample): number | null {
  const share = (hits: number, gets: number) => (gets > 0 ? (100 * hits) / gets : null)
  if (before !== undefined) {
    const gets = rateOf(before, now, GETS)
    if (gets > 0) return share(rateOf(before, now, ['get_hits']), gets)
  }
  return share(sumOf(now.general, ['get_hits']), sumOf(now.general, GETS))
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null
}
