// What `memslab top` shows of a server: figures of one sample and rates since the one before.

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
const OTHERS = [
  'delete_hits',
  'delete_misses',
  'incr_hits',
  'incr_misses',
  'decr_hits',
  'decr_misses',
  'cmd_touch',
]

/** Rates are per second. A number that is not known is null, also in JSON. */
export interface Measures {
  server: string
  /** Why it does not answer; null: it does. */
  fault: string | null
  version: string | null
  uptimeS: number | null
  gets: number | null
  sets: number | null
  others: number | null
  /** Of the gets since the last sample; without any, of all. */
  hitPercent: number | null
  evictions: number | null
  items: number | null
  bytes: number | null
  limitBytes: number | null
  connections: number | null
  connectionsMax: number | null
  readBytes: number | null
  writtenBytes: number | null
  hotKeys: HotKey[]
  classes: ClassRow[]
}

/** `before` undefined: there are no rates yet. */
export function measure(server: string, before: Sample | undefined, now: Sample): Measures {
  const rate = (names: string[]) =>
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
    others: rate(OTHERS),
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
  const nothing = {
    version: null,
    uptimeS: null,
    gets: null,
    sets: null,
    others: null,
    hitPercent: null,
    evictions: null,
    items: null,
    bytes: null,
    limitBytes: null,
    connections: null,
    connectionsMax: null,
    readBytes: null,
    writtenBytes: null,
  }
  return { server, fault, ...nothing, hotKeys: [], classes: [] }
}

/** All servers as one: sums, and the hit ratio weighted by gets. */
export function totalOf(all: readonly Measures[]): Measures {
  const up = all.filter(({ fault }) => fault === null)
  const sum = (read: (measures: Measures) => number | null) => {
    const values = up.map(read).filter(value => value !== null)
    return values.length === 0 ? null : values.reduce((a, b) => a + b, 0)
  }
  const gets = sum(({ gets }) => gets)
  const hits = sum(({ gets, hitPercent }) =>
    gets === null || hitPercent === null ? null : gets * hitPercent,
  )
  return {
    ...unmeasured(`${up.length} of ${all.length}`, ''),
    fault: null,
    gets,
    sets: sum(({ sets }) => sets),
    others: sum(({ others }) => others),
    hitPercent: gets === null || hits === null || gets === 0 ? null : hits / gets,
    evictions: sum(({ evictions }) => evictions),
    items: sum(({ items }) => items),
    bytes: sum(({ bytes }) => bytes),
    limitBytes: sum(({ limitBytes }) => limitBytes),
    connections: sum(({ connections }) => connections),
    connectionsMax: sum(({ connectionsMax }) => connectionsMax),
    readBytes: sum(({ readBytes }) => readBytes),
    writtenBytes: sum(({ writtenBytes }) => writtenBytes),
  }
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
