// Who changed which setting last, in shared memory, so that every thread can tell. Each setting has
// a slot of its own:
//
//   SEQUENCE  odd while it is written | AT_S | LENGTH | who, text
//
// Of two peers that change the same setting at the same instant one is noted.

import type { Changes } from '../host.ts'

/** The settings that can change while the daemon runs, as `stats settings` names them. */
export const CHANGEABLE = [
  'maxbytes',
  'maxconns',
  'verbosity',
  'evictions',
  'shutdown_command',
  'detail_enabled',
  'reqs_per_event',
  'cas_enabled',
  'maxconns_fast',
  'slab_reassign',
  'slab_automove',
  'slab_automove_ratio',
  'slab_automove_window',
  'slab_automove_freeratio',
  'lru_crawler',
  'lru_crawler_sleep',
  'lru_crawler_tocrawl',
  'flush_enabled',
  'dump_enabled',
  'hot_lru_pct',
  'warm_lru_pct',
  'hot_max_factor',
  'warm_max_factor',
  'temporary_ttl',
  'idle_timeout',
  'watcher_logbuf_size',
  'eviction',
] as const

export type ChangeableName = (typeof CHANGEABLE)[number]

/** Bytes that are kept of who it was. */
const WHO_BYTES_MAX = 64
const SEQUENCE = 0
const AT_S = 1
const LENGTH = 2
const WHO = 3
const SLOT_WORDS = WHO + WHO_BYTES_MAX / 4

export interface ChangeHandle {
  buffer: SharedArrayBuffer
}

export function createChangeBoard(): ChangeHandle {
  return { buffer: new SharedArrayBuffer(CHANGEABLE.length * SLOT_WORDS * 4) }
}

export class ChangeBoard implements Changes {
  private readonly words: Int32Array
  private readonly bytes: Buffer

  constructor({ buffer }: ChangeHandle) {
    this.words = new Int32Array(buffer)
    this.bytes = Buffer.from(buffer)
  }

  note(name: ChangeableName, who: string): void {
    const at = CHANGEABLE.indexOf(name) * SLOT_WORDS
    const { words } = this
    const before = Atomics.load(words, at + SEQUENCE)
    if (before % 2 !== 0) return
    if (Atomics.compareExchange(words, at + SEQUENCE, before, before + 1) !== before) return
    words[at + AT_S] = Math.floor(Date.now() / 1000)
    words[at + LENGTH] = this.bytes.write(who, (at + WHO) * 4, WHO_BYTES_MAX, 'latin1')
    Atomics.store(words, at + SEQUENCE, before + 2)
  }

  *all(): Generator<{ name: string; who: string; atS: number }> {
    const { words } = this
    for (const [index, name] of CHANGEABLE.entries()) {
      const at = index * SLOT_WORDS
      const before = Atomics.load(words, at + SEQUENCE)
      const start = (at + WHO) * 4
      const who = this.bytes.toString('latin1', start, start + words[at + LENGTH])
      const change = { name, who, atS: words[at + AT_S] }
      const isWhole = before % 2 === 0 && Atomics.load(words, at + SEQUENCE) === before
      if (before > 0 && isWhole) yield change
    }
  }
}
