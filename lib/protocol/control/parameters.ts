// `config set NAME VALUE`: changes a setting while the daemon runs. Names and values are those of
// `stats settings`. What needs another layout of memory, other listeners or other files is set at
// the start alone.

import { KIB, MIB } from '../../bytes/units.ts'
import { CRAWL_SLEEP_US_MAX, EVICTIONS } from '../../engine/limits.ts'
import { Order } from '../../engine/status.ts'
import { countPrefixes } from '../../observe/journal.ts'
import type { Conversation } from '../conversation.ts'
import { Control, FREE_RATIO_UNITS, type Host, VERBOSITY_MAX } from '../host.ts'
import { settingOf } from '../report/settings.ts'
import type { ChangeableName } from './change-board.ts'

/** Sets the value that is given as text. Returns what is wrong with it, or null. */
type Setter = (text: string, host: Host) => string | null

/** `lru tune`: largest share of the hot and the warm list together, percent. */
export const LISTS_PERCENT_MAX = 80

/** Least memory, megabytes; the most is what was reserved at the start. */
export const MEGABYTES_MIN = 8

/** Bounds of `slabs automove window`, seconds, as in memcached. */
export const WINDOW_S_MIN = 3
export const WINDOW_S_MAX = 1800

export const AUTOMOVE_MAX = 2
const WORD_MAX = 2 ** 31 - 2
const REQUESTS_MAX = 1_000_000
const LOGBUF_KIB_MAX = 64 * KIB
/** Places behind the point, and before it, of a factor. */
const FACTOR_MAX = 1000

const SETTERS: Readonly<Record<ChangeableName, Setter>> = {
  maxbytes: whole(MEGABYTES_MIN * MIB, Number.MAX_SAFE_INTEGER, (bytes, { cache }) =>
    cache.setMemoryLimit(bytes) === Order.OK ? null : 'out of bounds or unable to adjust',
  ),
  maxconns: (text, host) =>
    whole(1, host.facts.connectionsAtStart, (count, { control }) => {
      control[Control.CONNECTIONS_MAX] = count + 1
    })(text, host),
  verbosity: whole(0, VERBOSITY_MAX, (level, { control }) => {
    control[Control.VERBOSITY] = level
  }),
  evictions: yesNo((on, { cache }) => cache.setEvictions(on)),
  shutdown_command: override(Control.SHUTDOWN_ALLOWED),
  detail_enabled: yesNo((on, { journal }) => countPrefixes(journal.handle, on)),
  reqs_per_event: whole(1, REQUESTS_MAX, (count, { control }) => {
    control[Control.TURN_REQUESTS] = count + 1
  }),
  cas_enabled: yesNo((on, { cache }) => cache.showCas(on)),
  maxconns_fast: override(Control.MAXCONNS_FAST),
  slab_reassign: yesNo((on, { cache }) => cache.setReassign(on)),
  slab_automove: whole(0, AUTOMOVE_MAX, (mode, { cache }) => cache.setAutomove(mode)),
  slab_automove_ratio: factor((ratio, { cache }) => cache.setAutomoveRatio(ratio)),
  slab_automove_window: whole(WINDOW_S_MIN, WINDOW_S_MAX, (windowS, { cache }) =>
    cache.setAutomoveWindowS(windowS),
  ),
  slab_automove_freeratio: factor((ratio, { control }) => {
    control[Control.AUTOMOVE_FREE_RATIO] = 1 + Math.round(ratio * FREE_RATIO_UNITS)
  }),
  lru_crawler: yesNo((on, { cache }) => cache.crawlerEnable(on)),
  lru_crawler_sleep: whole(0, CRAWL_SLEEP_US_MAX, (us, { cache }) => cache.setCrawlerSleepUs(us)),
  lru_crawler_tocrawl: whole(0, WORD_MAX, (items, { cache }) => cache.setCrawlerItemsMax(items)),
  flush_enabled: override(Control.FLUSH_ALLOWED),
  dump_enabled: override(Control.DUMP_ALLOWED),
  hot_lru_pct: whole(1, LISTS_PERCENT_MAX, (hot, host) => tuneLists(host, { hot })),
  warm_lru_pct: whole(1, LISTS_PERCENT_MAX, (warm, host) => tuneLists(host, { warm })),
  hot_max_factor: factor((hotFactor, host) => tuneLists(host, { hotFactor })),
  warm_max_factor: factor((warmFactor, host) => tuneLists(host, { warmFactor })),
  temporary_ttl: whole(0, WORD_MAX, (ttlS, { cache }) => cache.setTemporaryTtlS(ttlS)),
  idle_timeout: whole(0, WORD_MAX, (seconds, { control }) => {
    control[Control.IDLE_TIMEOUT_S] = seconds + 1
  }),
  watcher_logbuf_size: whole(KIB, LOGBUF_KIB_MAX * KIB, (bytes, { control }) => {
    control[Control.WATCHER_BUFFER_BYTES] = bytes + 1
  }),
  eviction: setEviction,
}

/**
 * Changes a setting and notes who did it; `who` has no spaces. Returns what is wrong, in words for
 * after `CLIENT_ERROR `, or null.
 */
export function setParameter(host: Host, name: string, value: string, who: string): string | null {
  if (!Object.hasOwn(SETTERS, name)) {
    const isKnown = settingOf(host, name) !== undefined
    return isKnown ? 'this setting needs a restart' : 'no such setting'
  }
  const changeable = name as ChangeableName
  const fault = SETTERS[changeable](value, host)
  if (fault !== null) return fault
  host.changes.note(changeable, who)
  host.log(`${who} set ${name} to ${value}`)
  return null
}

/** Notes that a command of this peer changed settings. */
export function noteChange({ host, id }: Conversation, ...names: ChangeableName[]): void {
  for (const name of names) host.changes.note(name, whoIs(host, id))
}

/** A peer, as one word: its address, `unix` or `udp`. */
export function whoIs({ facts }: Host, id: number): string {
  const address = facts.addressOf(id)
  if (address === '') return 'udp'
  return address.includes(' ') ? 'unix' : address
}

function whole(least: number, most: number, set: (value: number, host: Host) => unknown): Setter {
  return (text, host) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : -1
    if (value < least || value > most) return `value must be a number from ${least} to ${most}`
    return faultOf(set(value, host))
  }
}

function factor(set: (value: number, host: Host) => unknown): Setter {
  return (text, host) => {
    const value = /^\d{1,4}(\.\d{1,6})?$/.test(text) ? Number(text) : 0
    if (value <= 0 || value > FACTOR_MAX) return `value must be above 0 and at most ${FACTOR_MAX}`
    return faultOf(set(value, host))
  }
}

/** What a setter returns is a fault if it is text. */
function faultOf(result: unknown): string | null {
  return typeof result === 'string' ? result : null
}

function yesNo(set: (on: boolean, host: Host) => void): Setter {
  return (text, host) => {
    if (!/^(yes|no|on|off|1|0)$/.test(text)) return 'value must be yes or no'
    set(/^(yes|on|1)$/.test(text), host)
    return null
  }
}

/** A switch that the threads read from the shared words: 0 is as at the start. */
function override(word: number): Setter {
  return yesNo((on, { control }) => {
    control[word] = on ? 2 : 1
  })
}

function setEviction(text: string, { cache }: Host): string | null {
  const eviction = EVICTIONS.find(name => name === text)
  if (eviction === undefined) return `value must be one of ${EVICTIONS.join(', ')}`
  if (eviction === 'segmented' && !cache.maintainerOn()) return 'segmented needs lru_maintainer'
  cache.setEviction(eviction)
  return null
}

interface ListTuning {
  hot?: number
  warm?: number
  hotFactor?: number
  warmFactor?: number
}

function tuneLists(host: Host, tuning: ListTuning): string | null {
  const now = (name: string) => Number(settingOf(host, name))
  const hot = tuning.hot ?? now('hot_lru_pct')
  const warm = tuning.warm ?? now('warm_lru_pct')
  if (hot + warm > LISTS_PERCENT_MAX) {
    return `hot and warm pcts must not exceed ${LISTS_PERCENT_MAX}`
  }
  const hotFactor = tuning.hotFactor ?? now('hot_max_factor')
  const warmFactor = tuning.warmFactor ?? now('warm_max_factor')
  host.cache.tuneLists(hot, warm, hotFactor, warmFactor)
  return null
}
