// What one thread tells those who watch, and who watches. While nobody does, a request pays for the
// look at one shared word, which has a bit for every kind of line that somebody wants.

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

  /** An item was looked up; of one that is not there class and size are 0. */
  looked(peer: number, { area, keyStart, keyBytes }: Ask, glance: Glance): void {
    const { ring } = this
    this.written[0]++
    ring.begin(LineType.ITEM_GET, glance.found | (glance.classId << 16), keyBytes)
    ring.words[ring.at + R.PEER] = peer
    ring.words[ring.at + R.SIZE] = glance.valueBytes
    copyBytes(area, keyStart, ring.area, ring.textAt, keyBytes)
    ring.end()
  }

  /** An item was stored, or was not; `glance`: what there is now, or would be. */
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

  /** An item was deleted because a peer asked for it. */
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
