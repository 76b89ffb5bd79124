// What one request asks of one item, and the results: one record that its owner reuses. The parser
// of the request fills it. The files of this folder say what each field means for an item. An
// operation reads only the fields listed for it:
//
//   get peek            the key, copyRoom
//   getAndTouch touch   the key, expiresAtS, copyRoom
//   remove              the key, cas
//   store begin         the key, mode, flags, expiresAtS, cas, valueBytes, dropsOld, waits
//   extend commit ...   hold and what `begin` asked
//   adjust              the key, cas, subtracts, delta, creates: createAtS, initial
//   store begin, FILL   also changed, flushes and uses; a FILL is never plain
//
// If the request is not plain, the fields after `isPlain` count as well.

import type { Area } from '../../bytes/area.ts'
import type { Arena } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import type { Hold } from '../items/holds.ts'
import { Mode, type Status } from '../status.ts'
import type { ChangedKeys } from './changed-keys.ts'

/**
 * Receives a hit under the lock: copies what it wants of the item and returns OK, NO_ROOM to be
 * called again, or HELD to have the value held, so that it can be read piece by piece.
 */
export interface HitSink {
  accept(arena: Arena, ref: Ref): Status
}

/** How many bytes of values may be copied: the caller counts them down and up. */
export interface CopyRoom {
  bytes: number
}

const NO_COPIES: CopyRoom = { bytes: 0 }

export class Ask {
  /** The key and its hash from hash.ts. */
  area: Area
  keyStart = 0
  keyBytes = 0
  hash = 0

  mode: Mode = Mode.SET
  /** Client flags, unsigned 32 bits. */
  flags = 0
  /** When the item expires, on the arena's clock (clock.ts); 0: never. */
  expiresAtS = 0
  /** Bytes of the value to store, or of the one that `hold` holds. */
  valueBytes = 0
  /** The CAS that the item must have, 32-bit words; 0: any, except with Mode.CAS. */
  casHigh = 0
  casLow = 0
  /** A refused store deletes the item that it would have replaced, so that no old value stays. */
  dropsOld = false

  subtracts = false
  /** A number of decimal.ts to add or to subtract. */
  deltaHigh = 0
  deltaLow = 0
  /** A miss creates an item that expires at `createAtS`, for a number with the initial value. */
  creates = false
  createAtS = 0
  initialHigh = 0
  initialLow = 0

  /**
   * Asks nothing beyond a classic command: the following fields, up to the results, are not read.
   */
  isPlain = true

  /** Compares the CAS even with 0. */
  compares = false
  /** The CAS that the item gets, 32-bit words; 0: the arena's next one. */
  newCasHigh = 0
  newCasLow = 0
  /** The key came in base64 and will be shown so. */
  isKeyBinary = false
  /** Sets the expiry to `expiresAtS`; a store always does. */
  touches = false
  /** A created item expires at `expiresAtS`, not at `createAtS`. */
  touchesCreated = false
  /** A created item counts as a miss; memcached counts a hit. */
  createsAsMiss = false
  /** A peer wins the recache if the item expires before `recacheAtS`. */
  recaches = false
  recacheAtS = 0
  /** For that the new `expiresAtS` counts, not the old expiry. */
  recachesTouched = false
  /** A fetch counts as a hit for the LRU lists. */
  bumps = true
  /** A store with an older CAS is accepted and marked stale; a delete marks stale instead. */
  invalidates = false
  /** A delete removes the value and the client flags, and leaves the item. */
  clears = false
  /** Of a fill: the keys changed since it began; null: nobody else could change any. */
  changed: ChangedKeys | null = null
  /** Of a fill: the arena's FLUSHES when it began. */
  flushes = 0
  /** Of a fill: how often the item had been used, 0 to USES_MAX (items/uses.ts). */
  uses = 0

  /** `begin` returns BUSY while uploads keep too much, instead of a refusal. */
  waits = false
  /**
   * Bytes that the caller may copy out of the arena, of values that it then releases at once. Its
   * threads' requests share it.
   */
  copyRoom: CopyRoom = NO_COPIES
  /** The value of HELD must be copied at once, because values being sent keep too much. */
  mustCopy = false

  /** The item that is held for this request. */
  readonly hold: Hold = { slot: 0, generation: 0 }
  /** The item was created by this request, or did not exist before. */
  created = false
  /** This peer won: it is to make the new value. */
  won = false
  /** Another peer has won before. */
  wasClaimed = false
  wasStale = false
  /** The old expiry. */
  oldExpiresAtS = 0
  /** Of the item stored, created or marked: its value's bytes, and its CAS as peers see it. */
  storedBytes = 0
  storedCasHigh = 0
  storedCasLow = 0
  /** The result, a number of decimal.ts. */
  numberHigh = 0
  numberLow = 0

  constructor(area: Area) {
    this.area = area
  }

  setKey(area: Area, start: number, keyBytes: number, hash: number): void {
    this.area = area
    this.keyStart = start
    this.keyBytes = keyBytes
    this.hash = hash
  }

  /** Resets the fields after `isPlain`, and `creates`. */
  resetTerms(): void {
    this.creates = false
    this.createAtS = 0
    this.compares = false
    this.newCasHigh = 0
    this.newCasLow = 0
    this.isKeyBinary = false
    this.touches = false
    this.touchesCreated = false
    this.createsAsMiss = false
    this.recaches = false
    this.recacheAtS = 0
    this.recachesTouched = false
    this.bumps = true
    this.invalidates = false
    this.clears = false
  }
}
