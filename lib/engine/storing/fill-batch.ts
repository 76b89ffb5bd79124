// Items of the past, many under one lock (Mode.FILL): a batch for each arena, which a restore
// fills outside of the lock. Only what is simple goes this way: items in one chunk, for which
// memory is at hand. Everything else is a store as any other. The lock is kept for as long as a
// batch takes, so a batch is bounded.

import { type Area, copyBytes } from '../../bytes/area.ts'
import { KIB } from '../../bytes/units.ts'
import type { Arena } from '../arena/arena.ts'
import { ClassCounter, classCounterAt } from '../arena/counters.ts'
import * as L from '../arena/layout.ts'
import { NIL } from '../arena/layout.ts'
import { classFor } from '../chunks/slabs.ts'
import { chosenCasAt, classOf, itemBytes, newMeta, writeOptional } from '../items/item.ts'
import { findReplaced, flushIfDue, linkItem } from '../items/links.ts'
import { recallUses } from '../items/uses.ts'
import { PREFETCH_KEYS_MAX } from '../limits.ts'
import { allocateItem } from '../room/allocate.ts'
import { isAtHand } from '../room/room.ts'
import type { Ask } from './ask.ts'
import type { ChangedKeys } from './changed-keys.ts'
import { itemFits } from './terms.ts'

/** Items of a batch: the cache misses of all of them overlap (prefetch.ts). */
const ITEMS_MAX = PREFETCH_KEYS_MAX
/** Keys and values of a batch together: some 10 microseconds of copying. */
const BATCH_BYTES_MAX = 64 * KIB
/** The longest key and value that go into a batch. */
export const BATCHED_BYTES_MAX = 8 * KIB

export class FillBatch {
  length = 0
  /** What became of its items. */
  filled = 0
  newer = 0
  readonly hashes: Int32Array = new Int32Array(ITEMS_MAX)
  /** FLUSHES of the arena when the fill began. */
  readonly flushes: number
  readonly changed: ChangedKeys | null
  private bytes = 0
  private readonly metas: Int32Array = new Int32Array(ITEMS_MAX)
  private readonly keyStarts: Int32Array = new Int32Array(ITEMS_MAX)
  private readonly valueBytes: Int32Array = new Int32Array(ITEMS_MAX)
  private readonly flags: Int32Array = new Int32Array(ITEMS_MAX)
  private readonly expiresAtS: Int32Array = new Int32Array(ITEMS_MAX)
  private readonly casHigh: Int32Array = new Int32Array(ITEMS_MAX)
  private readonly casLow: Int32Array = new Int32Array(ITEMS_MAX)
  private readonly uses: Int32Array = new Int32Array(ITEMS_MAX)

  constructor(flushes: number, changed: ChangedKeys | null) {
    this.flushes = flushes
    this.changed = changed
  }

  /** Adds the item of a request, whose value is behind its key. Returns whether it is full. */
  add(ask: Ask): boolean {
    const at = this.length++
    const { keyBytes, flags, expiresAtS, valueBytes, newCasHigh, newCasLow } = ask
    const chosen = (newCasHigh | newCasLow) === 0 ? 0 : L.STATE_CHOSEN_CAS
    const state = chosen | (ask.isKeyBinary ? L.STATE_KEY_BINARY : 0)
    this.hashes[at] = ask.hash
    this.metas[at] = newMeta(keyBytes, flags, expiresAtS, valueBytes, state)
    this.keyStarts[at] = ask.keyStart
    this.valueBytes[at] = valueBytes
    this.flags[at] = flags
    this.expiresAtS[at] = expiresAtS
    this.casHigh[at] = newCasHigh
    this.casLow[at] = newCasLow
    this.uses[at] = ask.uses
    this.bytes += keyBytes + valueBytes
    return this.length === ITEMS_MAX || this.bytes >= BATCH_BYTES_MAX
  }

  /** Makes a request of an item again, as it was added. Returns where its value begins. */
  recall(at: number, area: Area, ask: Ask): number {
    const meta = this.metas[at]
    const keyBytes = L.metaKeyBytes(meta)
    ask.setKey(area, this.keyStarts[at], keyBytes, this.hashes[at])
    ask.flags = this.flags[at] >>> 0
    ask.expiresAtS = this.expiresAtS[at]
    ask.valueBytes = this.valueBytes[at]
    ask.newCasHigh = this.casHigh[at]
    ask.newCasLow = this.casLow[at]
    ask.isKeyBinary = (meta & L.STATE_KEY_BINARY) !== 0
    ask.uses = this.uses[at]
    ask.flushes = this.flushes
    return this.keyStarts[at] + keyBytes
  }

  clear(): void {
    this.length = 0
    this.bytes = 0
    this.filled = 0
    this.newer = 0
  }

  /**
   * Stores the items from number `first` on; they are in `area`. Assumes the arena's lock. Returns
   * the number of the first that is not simple: `Shard.store` has to store it. `length`: there is
   * none.
   */
  store(arena: Arena, area: Area, first: number): number {
    flushIfDue(arena)
    for (let at = first; at < this.length; at++) if (!this.storeOne(arena, area, at)) return at
    return this.length
  }

  /** False: it is not simple. */
  private storeOne(arena: Arena, area: Area, at: number): boolean {
    const { words, counters } = arena
    const hash = this.hashes[at]
    const meta = this.metas[at]
    const keyStart = this.keyStarts[at]
    const valueBytes = this.valueBytes[at]
    const keyBytes = L.metaKeyBytes(meta)
    const flags = this.flags[at]
    if (!itemFits(arena, keyBytes, flags, valueBytes)) return false
    const classId = classFor(arena, (itemBytes(meta, valueBytes) + 3) >> 2)
    if (classId === 0 || !isAtHand(arena, classId, 1)) return false
    const isOvertaken =
      this.changed !== null && (this.changed.has(hash) || words[L.FLUSHES] !== this.flushes)
    if (isOvertaken || findReplaced(arena, hash, area, keyStart, keyBytes) !== NIL) {
      this.newer++
      return true
    }
    const ref = allocateItem(arena, meta, valueBytes)
    if (ref === NIL) {
      words[L.ROOM_WANTED] = 0
      return false
    }
    const to = writeOptional(arena, ref, flags, this.expiresAtS[at])
    copyBytes(area, keyStart, arena.area, to, keyBytes + valueBytes)
    counters[classCounterAt(classOf(arena, ref), ClassCounter.SET_CMDS)]++
    linkItem(arena, hash, ref)
    if ((meta & L.STATE_CHOSEN_CAS) !== 0) {
      words[chosenCasAt(arena, ref)] = this.casLow[at]
      words[chosenCasAt(arena, ref) + 1] = this.casHigh[at]
    }
    if (this.uses[at] > 0) recallUses(words, ref, this.uses[at])
    this.filled++
    return true
  }
}
