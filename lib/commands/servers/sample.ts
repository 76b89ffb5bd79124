// What a server said at one moment, and the rates between two moments. Names are those of `stats`,
// which memslab and memcached share.

import type { Report } from './stats-link.ts'

export interface Sample {
  /** Of this process's clock, ms. */
  atMs: number
  general: Report
  settings: Report
  items: Report
  slabs: Report
  /** Empty for memcached, and where dumps are refused. */
  hotKeys: Report
  /** Of memslab's own; empty for memcached. */
  own: Report
  /** What other sizes of the memory would hit; empty where keys are not sampled. */
  curve: Report
}

/** The reports of a sample, in the order of `sampleOf`. */
export const REPORTS = ['', 'settings', 'items', 'slabs', 'hotkeys', 'memslab', 'mrc'] as const

const NONE: Report = new Map()

export function sampleOf(reports: readonly Report[], atMs: number): Sample {
  const [general = NONE, settings = NONE, items = NONE, slabs = NONE, ...ours] = reports
  const [hotKeys = NONE, own = NONE, curve = NONE] = ours
  return { atMs, general, settings, items, slabs, hotKeys, own, curve }
}

/** A number of a report; NaN if it has no such row. */
export function numberOf(report: Report, name: string): number {
  const value = report.get(name)
  return value === undefined ? Number.NaN : Number(value)
}

/** The sum of these rows; rows that are missing count as 0. */
export function sumOf(report: Report, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (numberOf(report, name) || 0), 0)
}

/** The rate of a counter, per second; NaN where it fell, as after a restart or `stats reset`. */
export function rateOf(before: Sample, now: Sample, names: readonly string[]): number {
  const seconds = (now.atMs - before.atMs) / 1000
  const grown = sumOf(now.general, names) - sumOf(before.general, names)
  return seconds > 0 && grown >= 0 ? grown / seconds : Number.NaN
}

/** A slab class with items, by rows of `stats items` and `stats slabs`. */
export interface ClassRow {
  id: number
  chunkBytes: number
  items: number
  pages: number
  usedChunks: number
  chunks: number
  /** How long the oldest item was not used, seconds. */
  ageS: number
  evicted: number
  evictedNonzero: number
  evictedUnfetched: number
}

export function classesOf({ items, slabs }: Sample): ClassRow[] {
  const ids = [...items.keys()].flatMap(row => /^items:(\d+):number$/.exec(row)?.[1] ?? [])
  return ids.map(id => {
    const item = (name: string) => numberOf(items, `items:${id}:${name}`) || 0
    const slab = (name: string) => numberOf(slabs, `${id}:${name}`) || 0
    return {
      id: Number(id),
      chunkBytes: slab('chunk_size'),
      items: item('number'),
      pages: slab('total_pages'),
      usedChunks: slab('used_chunks'),
      chunks: slab('total_chunks'),
      ageS: item('age'),
      evicted: item('evicted'),
      evictedNonzero: item('evicted_nonzero'),
      evictedUnfetched: item('evicted_unfetched'),
    }
  })
}

export interface HotKey {
  /** Percent-encoded, as in a dump. */
  key: string
  /** Share of all requests, percent. */
  percent: number
}

export interface LongValue {
  key: string
  valueBytes: number
}

export function hotKeysOf({ hotKeys }: Sample): HotKey[] {
  return numbered(hotKeys, 'hot').map(at => ({
    key: hotKeys.get(`${at}:key`) ?? '',
    percent: numberOf(hotKeys, `${at}:percent`),
  }))
}

export function longValuesOf({ hotKeys }: Sample): LongValue[] {
  return numbered(hotKeys, 'long').map(at => ({
    key: hotKeys.get(`${at}:key`) ?? '',
    valueBytes: numberOf(hotKeys, `${at}:value_bytes`),
  }))
}

function numbered(report: Report, kind: string): string[] {
  const form = new RegExp(`^(${kind}:\\d+):key$`)
  return [...report.keys()].flatMap(row => form.exec(row)?.[1] ?? [])
}

/** `memslab 0.4.0`, or `memcached 1.6.45`. */
export function versionOf({ general, own }: Sample): string {
  const version = own.get('memslab_version')
  return version === undefined ? `memcached ${general.get('version') ?? '?'}` : `memslab ${version}`
}
