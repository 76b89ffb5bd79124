// The log of one thread for watchers, and who watches. While nobody watches, a request pays only
// for reading one shared word, which has a bit for every kind of line that some watcher wants.

import { copyBytes } from '../bytes/area.ts'
import type { Arena, Witness } from '../engine/arena/arena.ts'
import {
  classOf,
  idleS,
  keyAt,
  keyBytesOf,
  type Ref,
  ttlOf,
  valueBytesOf,
  wasFetched,
} from '../engine/items/item.ts'
import type { Status } from '../engine/status.ts'
import type { Ask } from '../engine/storing/ask.ts'
import type { Glance } from './glance.ts'
import * as R from './log-buffer.ts'
import { headerWords, type LogHandle, RingReader, RingWriter, watcherWords } from './log-buffer.ts'
import type { Prefixes } from './prefixes.ts'

/** Most watchers at the same time (memcached: 20). */
export const WATCHERS_MAX = 20

/**
 * Kinds of lines, as bits; PREFIXES asks for counts, not lines (prefixes.ts), and CHANGES for notes
 * of the keys that are changed while the cache is filled (engine/storing/changed-keys.ts).
 */
export const Kind = {
  EVICTIONS: 1 << 0,
  FETCHERS: 1 << 1,
  MUTATIONS: 1 << 2,
  CONNEVENTS: 1 << 3,
  DELETIONS: 1 << 4,
  PREFIXES: 1 << 5,
  CHANGES: 1 << 6,
} as const

/** Number of kinds of lines, counted in the watchers' words from KIND_0 on. */
const LINE_KINDS = 5
const WATCHERS = 0
const KIND_0 = 1

/** Types of lines; KIND_OF_TYPE has the kind of each. */
export const LineType = {
  ITEM_GET: 1,
  ITEM_STORE: 2,
  EVICTION: 3,
  DELETED: 4,
  CONN_NEW: 5,
  CONN_CLOSE: 6,
} as const

export const KIND_OF_TYPE = [
  0,
  Kind.FETCHERS,
  Kind.MUTATIONS,
  Kind.EVICTIONS,
  Kind.DELETIONS,
  Kind.CONNEVENTS,
  Kind.CONNEVENTS,
] as const

/** Why a connection was closed, as in log lines. */
export const CloseReason = { ERROR: 0, NORMAL: 1, IDLE_TIMEOUT: 2, SHUTDOWN: 3 } as const
export type CloseReason = (typeof CloseReason)[keyof typeof CloseReason]

export class Journal implements Witness {
  readonly handle: LogHandle
  private readonly header: Int32Array
  private readonly ring: RingWriter
  private readonly own: Int32Array
  private readonly written: Float64Array
  readonly prefixes: Prefixes

  /** `written`: counts the lines at its index 0. */
  constructor(handle: LogHandle, thread: number, written: Float64Array, prefixes: Prefixes) {
    this.handle = handle
    this.written = written
    this.prefixes = prefixes
    this.header = headerWords(handle)
    this.ring = new RingWriter(handle, thread)
    this.own = watcherWords(handle, thread)
  }

  /** The kinds that any watcher wants: bits of Kind, 0 for none. */
  wanted(): number {
    return this.header[R.WANTED]
  }

  /** Whether any watcher wants lines of this kind. */
  wants(kind: number): boolean {
    return (this.header[R.WANTED] & kind) !== 0
  }

  /** An item was looked up; class and size are 0 if it is missing. */
  looked(peer: number, { area, keyStart, keyBytes }: Ask, glance: Glance): void {
    const { ring } = this
    this.written[0]++
    ring.begin(LineType.ITEM_GET, glance.found | (glance.classId << 16), keyBytes)
    ring.words[ring.at + R.PEER] = peer
    ring.words[ring.at + R.SIZE] = glance.valueBytes
    copyBytes(area, keyStart, ring.area, ring.textAt, keyBytes)
    ring.end()
  }

  /** An item was stored or refused; `glance`: the item as it is now, or would be. */
  stored(peer: number, ask: Ask, status: Status, glance: Glance): void {
    const { ring } = this
    const { area, keyStart, keyBytes, mode } = ask
    this.written[0]++
    ring.begin(LineType.ITEM_STORE, status | (mode << 8) | (glance.classId << 16), keyBytes)
    ring.words[ring.at + R.PEER] = peer
    ring.words[ring.at + R.SIZE] = glance.valueBytes
    ring.words[ring.at + R.TTL_S] = glance.ttlS
    copyBytes(area, keyStart, ring.area, ring.textAt, keyBytes)
    ring.end()
  }

  /** An item was deleted on request. */
  deleted({ area, keyStart, keyBytes, isPlain }: Ask, glance: Glance): void {
    const { ring } = this
    this.written[0]++
    ring.begin(LineType.DELETED, ((isPlain ? 0 : 1) << 8) | (glance.classId << 16), keyBytes)
    ring.words[ring.at + R.SIZE] = glance.valueBytes
    copyBytes(area, keyStart, ring.area, ring.textAt, keyBytes)
    ring.end()
  }

  evicting(arena: Arena, ref: Ref): void {
    if (!this.wants(Kind.EVICTIONS)) return
    const { ring } = this
    const length = keyBytesOf(arena, ref)
    const fetched = wasFetched(arena, ref) ? 1 : 0
    this.written[0]++
    ring.begin(LineType.EVICTION, fetched | (classOf(arena, ref) << 16), length)
    ring.words[ring.at + R.SIZE] = valueBytesOf(arena, ref)
    ring.words[ring.at + R.TTL_S] = ttlOf(arena, ref)
    ring.words[ring.at + R.IDLE_S] = idleS(arena, ref)
    copyBytes(arena.area, keyAt(arena, ref), ring.area, ring.textAt, length)
    ring.end()
  }

  /** A connection was opened; `address` as in `stats conns`. */
  opened(peer: number, address: string): void {
    if (this.wants(Kind.CONNEVENTS)) this.connection(LineType.CONN_NEW, peer, address, 0)
  }

  closed(peer: number, address: string, reason: CloseReason): void {
    if (this.wants(Kind.CONNEVENTS)) this.connection(LineType.CONN_CLOSE, peer, address, reason)
  }

  /** Adds a watcher of this thread for these kinds; false if there are too many. */
  addWatcher(kinds: number): boolean {
    if (countWatchers(this.handle) >= WATCHERS_MAX) return false
    this.count(kinds, 1)
    return true
  }

  dropWatcher(kinds: number): void {
    this.count(kinds, -1)
  }

  /** Readers for a new watcher, at the ends of all buffers. */
  readers(): RingReader[] {
    return Array.from({ length: this.handle.threads }, (_, i) => new RingReader(this.handle, i))
  }

  private connection(type: number, peer: number, address: string, reason: number): void {
    const { ring } = this
    this.written[0]++
    ring.begin(type, reason, address.length)
    ring.words[ring.at + R.PEER] = peer
    ring.area.bytes.write(address, ring.textAt, address.length, 'latin1')
    ring.end()
  }

  private count(kinds: number, sign: number): void {
    const { own } = this
    Atomics.add(own, WATCHERS, sign)
    for (let i = 0; i < LINE_KINDS; i++) {
      if ((kinds & (1 << i)) !== 0) Atomics.add(own, KIND_0 + i, sign)
    }
    updateWanted(this.handle)
  }
}

/** The number of watchers in all threads. */
export function countWatchers(handle: LogHandle): number {
  let count = 0
  for (let i = 0; i < handle.threads; i++) count += watcherWords(handle, i)[WATCHERS]
  return count
}

/** Removes the watchers of a thread that died. */
export function forgetWatchers(handle: LogHandle, thread: number): void {
  const words = watcherWords(handle, thread)
  for (let i = 0; i < words.length; i++) Atomics.store(words, i, 0)
  updateWanted(handle)
}

/** Switches the counts of key prefixes on or off, for all threads. */
export function countPrefixes(handle: LogHandle, on: boolean): void {
  Atomics.store(headerWords(handle), R.COUNTS_PREFIXES, on ? 1 : 0)
  updateWanted(handle)
}

/** Switches the notes of changed keys on or off, for all threads. */
export function noteChanges(handle: LogHandle, on: boolean): void {
  Atomics.store(headerWords(handle), R.NOTES_CHANGES, on ? 1 : 0)
  updateWanted(handle)
}

/**
 * Recomputes what is wanted. Several threads may do this at the same time. One that reads first and
 * writes last would undo another's change, so each reads again after it wrote.
 */
function updateWanted(handle: LogHandle): void {
  const header = headerWords(handle)
  let written = -1
  for (let kinds = wantedKinds(handle); kinds !== written; kinds = wantedKinds(handle)) {
    written = kinds
    Atomics.store(header, R.WANTED, kinds)
  }
}

function wantedKinds(handle: LogHandle): number {
  const header = headerWords(handle)
  let kinds = Atomics.load(header, R.COUNTS_PREFIXES) === 0 ? 0 : Kind.PREFIXES
  if (Atomics.load(header, R.NOTES_CHANGES) !== 0) kinds |= Kind.CHANGES
  for (let thread = 0; thread < handle.threads; thread++) {
    const words = watcherWords(handle, thread)
    for (let i = 0; i < LINE_KINDS; i++) {
      if (Atomics.load(words, KIND_0 + i) > 0) kinds |= 1 << i
    }
  }
  return kinds
}
