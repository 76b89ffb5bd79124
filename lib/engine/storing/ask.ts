// What one request asks of one item, and what came of it: one record that its owner fills again and
// again. Whoever parsed the request fills it; the files of this room say what each field means for
// an item. Fields that an operation does not name are not read by it.
//
//   get peek            the key
//   getAndTouch touch   the key, expiresAtS
//   remove              the key, cas
//   store begin         the key, mode, flags, expiresAtS, cas, valueBytes, dropsOld
//   extend commit ...   hold and what `begin` asked
//   adjust              the key, cas, subtracts, delta, creates: createAtS, initial
//
// A request that is not plain asks for more: what stands behind `isPlain` counts as well.

import type { Area } from '../../bytes/area.ts'
import type { Arena } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import type { Hold } from '../items/holds.ts'
import { Mode, type Status } from '../status.ts'

/**
 * Takes a hit under the lock: copies what it wants of the item and returns OK, NO_ROOM when it must
 * be asked again, or HELD to have the value held so that it can be read piece by piece.
 */
export interface HitSink {
  accept(arena: Arena, ref: Ref): Status
}

export class Ask {
  /** The key and its hash from hash.ts. */
  area: Area
  keyStart = 0
  keyBytes = 0
  hash = 0

  mode: Mode = Mode.SET
  /** Client flags, unsigned 32 bits. */
  flags = 0
  /** When the item is to expire, on the arena's clock (clock.ts); 0: never. */
  expiresAtS = 0
  /** Bytes of the value to store, or of the one that `hold` holds. */
  valueBytes = 0
  /** The CAS that the item must have, 32-bit words; 0: any, but for Mode.CAS. */
  casHigh = 0
  casLow = 0
  /** A store that is refused deletes the item that it was to replace: nothing stale stays. */
  dropsOld = false

  subtracts = false
  /** A number of decimal.ts to add or to subtract. */
  deltaHigh = 0
  deltaLow = 0
  /** A miss makes an item that expires at `createAtS`; its number is the initial one. */
  creates = false
  createAtS = 0
  initialHigh = 0
  initialLow = 0

  /**
   * Asks nothing that a classic command could not: what follows, up to the results, is not read.
   */
  isPlain = true

  /** Compares the CAS even with 0. */
  compares = false
  /** The CAS that the item gets, 32-bit words; 0: the arena's next one. */
  newCasHigh = 0
  newCasLow = 0
  /** The key came in base64 and is to be shown so. */
  isKeyBinary = false
  /** The item is to expire at `expiresAtS`; in a store without it that time counts all the same. */
  touches = false
  /** An item that is made expires at `expiresAtS` and not at `createAtS`. */
  touchesCreated = false
  /** An item that is made counts as a miss; memcached counts a hit. */
  createsAsMiss = false
  /** Asks for a new value if the item expires before `recacheAtS`. */
  recaches = false
  recacheAtS = 0
  /** `expiresAtS` counts for that, and not the time from before. */
  recachesTouched = false
  /** A fetch is a hit to the LRU lists. */
  bumps = true
  /** A store with an older CAS is taken and marked stale; a delete marks stale instead. */
  invalidates = false
  /** A delete takes the value and the client flags away and leaves the item. */
  clears = false

  /** The item that is held for this request. */
  readonly hold: Hold = { slot: 0, generation: 0 }
  /** The item was made by this request, or was not there before. */
  created = false
  /** This peer is to make the value again. */
  won = false
  /** Another peer was told so before. */
  wasClaimed = false
  wasStale = false
  /** When the item was to expire before. */
  oldExpiresAtS = 0
  /** Of what a request stored, made or marked: its value's bytes and its CAS as peers see it. */
  storedBytes = 0
  storedCasHigh = 0
  storedCasLow = 0
  /** The sum, a number of decimal.ts. */
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

  /** Asks for nothing that follows `isPlain`, and for no other item where there is none. */
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
