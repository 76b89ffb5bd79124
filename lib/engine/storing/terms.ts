// What a peer asks of one item beyond the classic commands, and what came of it: one record that its
// owner fills again and again. leases.ts says what each of these means.

import { Mode } from '../status.ts'

export class Terms {
  // Asked for: of a store
  mode: Mode = Mode.SET
  flags = 0
  /** The key came in base64 and shall go out so. */
  keyBinary = false

  // Asked for: which CAS the item has, and which it gets
  compares = false
  casHigh = 0
  casLow = 0
  /** 0: the arena's next one. */
  newCasHigh = 0
  newCasLow = 0

  // Asked for: ends, on the arena's clock
  touches = false
  touchAtS = 0
  /** Make an item where there is none. */
  creates = false
  createAtS = 0
  /** An item that is made ends as `touchAtS` says, and not as `createAtS` does. */
  touchesCreated = false
  /** An item that is made counts as a miss; memcached has it as a hit. */
  createsAsMiss = false
  /** Ask for a new value if the item ends before `recacheAtS`. */
  recaches = false
  recacheAtS = 0
  /** `touchAtS` counts for that, and not the end from before. */
  recachesTouched = false

  // Asked for: the rest
  /** A fetch is a hit to the LRU lists. */
  bumps = true
  /** A store with an older CAS is taken, but marked stale; a delete marks stale and deletes nothing. */
  invalidates = false
  /** A delete takes the value and the client flags away and leaves the item. */
  clears = false

  // What came of it
  created = false
  /** This peer is to make the item anew. */
  won = false
  /** Another peer was told so before. */
  wasClaimed = false
  wasStale = false
  /** The end from before. */
  endedAtS = 0
  /** Bytes of the value that was stored or refused. */
  valueBytes = 0

  /** Asks for nothing. */
  reset(): void {
    this.mode = Mode.SET
    this.flags = 0
    this.keyBinary = false
    this.compares = false
    this.casHigh = 0
    this.casLow = 0
    this.newCasHigh = 0
    this.newCasLow = 0
    this.touches = false
    this.touchAtS = 0
    this.creates = false
    this.createAtS = 0
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
