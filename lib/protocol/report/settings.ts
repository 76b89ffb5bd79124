// `stats settings`: the settings of the start, with what operators have changed since.

import * as L from '../../engine/arena/layout.ts'
import { Kind } from '../../observe/journal.ts'
import { Control, FREE_RATIO_UNITS, type Host } from '../host.ts'
import type { Lines } from './rows.ts'

type Value = string | number

/** The settings, and behind them a row for each that was changed: by whom, and when. */
export function reportSettings(host: Host, lines: Lines): void {
  for (const [name, value] of host.facts.settings) {
    lines.add(name, CHANGEABLE[name]?.(host) ?? value)
  }
  for (const { name, who, atS } of host.changes.all()) lines.add(`changed:${name}`, `${who} ${atS}`)
}

/** The current value of a setting; undefined: there is none of this name. */
export function settingOf(host: Host, name: string): Value | undefined {
  const known = host.facts.settings.find(([known]) => known === name)
  return known && (CHANGEABLE[name]?.(host) ?? known[1])
}

/** Current values of settings that commands can change. */
const CHANGEABLE: Readonly<Record<string, (host: Host) => Value | undefined>> = {
  maxbytes: ({ cache }) => cache.memoryLimitBytes(),
  maxconns: ({ facts }) => facts.connectionsMax,
  verbosity: ({ control }) => control[Control.VERBOSITY],
  evictions: ({ cache }) => (cache.evicts() ? 'on' : 'off'),
  shutdown_command: ({ allowed }) => yes(allowed.shutdown),
  reqs_per_event: ({ control }) => changedNumber(control, Control.TURN_REQUESTS),
  cas_enabled: host => yes(wordOf(host, L.CAS_SHOWN) !== 0),
  maxconns_fast: ({ facts }) => yes(facts.features.maxconnsFast),
  slab_reassign: ({ cache }) => yes(cache.reassignOn()),
  flush_enabled: ({ flushAllowed }) => yes(flushAllowed),
  dump_enabled: ({ allowed }) => yes(allowed.dump),
  idle_timeout: ({ control }) => changedNumber(control, Control.IDLE_TIMEOUT_S),
  watcher_logbuf_size: ({ allowed }) => allowed.watcherBufferBytes,
  detail_enabled: ({ journal }) => yes(journal.wants(Kind.PREFIXES)),
  slab_automove: host => wordOf(host, L.AUTOMOVE),
  slab_automove_ratio: host => (wordOf(host, L.AUTOMOVE_RATIO) / 1000).toFixed(2),
  slab_automove_window: host => wordOf(host, L.AUTOMOVE_WINDOW_S),
  slab_automove_freeratio: freeRatio,
  lru_crawler: host => yes(wordOf(host, L.CRAWLER_ON) === 1),
  lru_crawler_sleep: host => wordOf(host, L.CRAWL_SLEEP_US),
  lru_crawler_tocrawl: host => wordOf(host, L.CRAWL_ITEMS_MAX) >>> 0,
  lru_segmented: ({ cache }) => yes(cache.eviction() !== 'lru'),
  eviction: ({ cache }) => cache.eviction(),
  hot_lru_pct: host => wordOf(host, L.LRU_HOT_PERCENT),
  warm_lru_pct: host => wordOf(host, L.LRU_WARM_PERCENT),
  hot_max_factor: host => (wordOf(host, L.LRU_HOT_FACTOR) / 1000).toFixed(2),
  warm_max_factor: host => (wordOf(host, L.LRU_WARM_FACTOR) / 1000).toFixed(2),
  temp_lru: host => yes(wordOf(host, L.LRU_TEMPORARY_TTL_S) > 0),
  temporary_ttl: host => wordOf(host, L.LRU_TEMPORARY_TTL_S) || undefined,
}

function freeRatio({ control }: Host): string | undefined {
  const ratio = control[Control.AUTOMOVE_FREE_RATIO]
  return ratio === 0 ? undefined : ((ratio - 1) / FREE_RATIO_UNITS).toFixed(3)
}

/** A number that `config set` has changed; undefined: it has not. */
function changedNumber(control: Int32Array, word: number): number | undefined {
  return control[word] === 0 ? undefined : control[word] - 1
}

/** All arenas have the same settings. */
function wordOf({ cache }: Host, at: number): number {
  return cache.shards[0].arena.words[at]
}

function yes(value: boolean): string {
  return value ? 'yes' : 'no'
}
