// What one thread tells those who watch, and who watches. While nobody does, a request pays for the
// look at one shared word, which has a bit for every kind of line that somebody wants.

import { type Area, copyBytes } from '../bytes/area.ts'
import type { Arena, Witness } from '../engine/arena/arena.ts'
import type { Ref } from '../engine/arena/layout.ts'
import * as L from '../engine/arena/layout.ts'
import { endOf, keyAt } from '../engine/items/item.ts'
import * as R from './log-buffer.ts'
import { headerWords, type LogHandle, RingReader, RingWriter, watcherWords } from './log-buffer.ts'
import type { Prefixes } from './prefixes.ts'

/** Connections that may watch at once (memcached: 20). */
export const WATCHERS_MAX = 20

/** Kinds of lines, as bits; PREFIXES asks for counts instead (prefixes.ts). */
export const Kind = {
  EVICTIONS: 1 << 0,
  FETCHERS: 1 << 1,
  MUTATIONS: 1 << 2,
  CONNEVENTS: 1 << 3,
  DELETIONS: 1 << 4,
  PREFIXES: 1 << 5,
} as const

/** Kinds that lines may have, counted in the watchers' words from KIND_0 on. */
const LINE_KINDS = 5
const WATCHERS = 0
const KIND_0 = 1

/** Types of lines; the kind of each is in KIND_OF_TYPE. */
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

/** What became of a look at an item, as lines say it. */
export const Found = { NOT_FOUND: 0, FOUND: 1, FLUSHED: 2, EXPIRED: 3 } as const

/** Why a connection ended, as lines say it. */
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

  /** All that anybody wants: bits of Kind, 0 for nothing. */
  wanted(): number {
    return this.header[R.WANTED]
  }

  /** Whether somebody wants lines of this kind. */
  wants(kind: number): boolean {
    return (this.header[R.WANTED] & kind) !== 0
  }

  /** An item was looked up; of an item that is not there class and size are 0. */
  looked(
    peer: number,
    key: Area,
    start: number,
    length: number,
    found: number,
    classId: number,
    valueBytes: number,
  ): void {
    const { ring } = this
    this.written[0]++
    ring.begin(LineType.ITEM_GET, found | (classId << 16), length)
    ring.words[ring.at + R.PEER] = peer
    ring.words[ring.at + R.SIZE] = valueBytes
    copyBytes(key, start, ring.area, ring.textAt, length)
    ring.end()
  }

  /** An item was stored, or was not. `ttlS`: 0 for never. */
  stored(
    peer: number,
    key: Area,
    start: number,
    length: number,
    status: number,
    mode: number,
    ttlS: number,
    classId: number,
    valueBytes: number,
  ): void {
    const { ring } = this
    this.written[0]++
    ring.begin(LineType.ITEM_STORE, status | (mode << 8) | (classId << 16), length)
    ring.words[ring.at + R.PEER] = peer
    ring.words[ring.at + R.SIZE] = valueBytes
    ring.words[ring.at + R.TTL_S] = ttlS
    copyBytes(key, start, ring.area, ring.textAt, length)
    ring.end()
  }

  /** An item was deleted because a peer asked for it. */
  deleted(
    key: Area,
    start: number,
    length: number,
    isMeta: boolean,
    classId: number,
    valueBytes: number,
  ): void {
    const { ring } = this
    this.written[0]++
    ring.begin(LineType.DELETED, ((isMeta ? 1 : 0) << 8) | (classId << 16), length)
    ring.words[ring.at + R.SIZE] = valueBytes
    copyBytes(key, start, ring.area, ring.textAt, length)
    ring.end()
  }

  evicting(arena: Arena, ref: Ref): void {
    if (!this.wants(Kind.EVICTIONS)) return
    const { words } = arena
    const { ring } = this
    const meta = words[ref + L.ITEM_META]
    const fetched = (meta & L.STATE_FETCHED) === 0 ? 0 : 1
    const length = L.metaKeyBytes(meta)
    const endsAtS = endOf(arena, ref)
    this.written[0]++
    ring.begin(LineType.EVICTION, fetched | (L.metaClass(meta) << 16), length)
    ring.words[ring.at + R.SIZE] = words[ref + L.ITEM_VALUE_BYTES]
    ring.words[ring.at + R.TTL_S] = endsAtS === 0 ? -1 : endsAtS - words[L.CLOCK_S]
    ring.words[ring.at + R.IDLE_S] = words[L.CLOCK_S] - words[ref + L.ITEM_TOUCHED_AT_S]
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

  /** A watcher comes to this thread, who wants these kinds; false: there are too many. */
  addWatcher(kinds: number): boolean {
    if (countWatchers(this.handle) >= WATCHERS_MAX) return false
    this.count(kinds, 1)
    return true
  }

  dropWatcher(kinds: number): void {
    this.count(kinds, -1)
  }

  /** Where a new watcher begins to read: the ends of all rings. */
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

/** How many watch, in all threads. */
export function countWatchers(handle: LogHandle): number {
  let count = 0
  for (let i = 0; i < handle.threads; i++) count += watcherWords(handle, i)[WATCHERS]
  return count
}

/** Takes back what the watchers of a thread wanted: it died. */
export function forgetWatchers(handle: LogHandle, thread: number): void {
  const words = watcherWords(handle, thread)
  for (let i = 0; i < words.length; i++) Atomics.store(words, i, 0)
  updateWanted(handle)
}

/** Has all threads count the prefixes of keys, or no longer. */
export function countPrefixes(handle: LogHandle, on: boolean): void {
  Atomics.store(headerWords(handle), R.COUNTS_PREFIXES, on ? 1 : 0)
  updateWanted(handle)
}

/**
 * Works out anew what is wanted. Threads may do that at once: one that looked first and writes last
 * would undo what another has written, so each looks again after it wrote.
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
  let kinds = Atomics.load(headerWords(handle), R.COUNTS_PREFIXES) === 0 ? 0 : Kind.PREFIXES
  for (let thread = 0; thread < handle.threads; thread++) {
    const words = watcherWords(handle, thread)
    for (let i = 0; i < LINE_KINDS; i++) {
      if (Atomics.load(words, KIND_0 + i) > 0) kinds |= 1 << i
    }
  }
  return kinds
}
