// Ghosts of a miniature cache: fingerprints of the entries that it evicted last, about one for four
// entries. As engine/items/ghosts.ts: sets of eight, the newest first, in linear hashing.

/** Sets that are in use in a small cache, and ghosts of a set. */
const SETS_MIN = 8
export const GHOSTS_PER_SET = 8
const ENTRIES_PER_SET = 4 * GHOSTS_PER_SET

const KIND_MASK = 1
const EMPTY = 0
const SET_SPREAD = 0xc2b2ae35
const PRINT_SPREAD = 0x27d4eb2f

/** A ghost that was taken: its place in its set, 0 for the newest, and whether it was in WARM. */
export interface TakenGhost {
  place: number
  wasWarm: boolean
}

const taken: TakenGhost = { place: 0, wasWarm: false }

export class MiniGhosts {
  private readonly ghosts: Uint16Array

  /** `entries`: most entries of the cache. */
  constructor(entries: number) {
    const sets = Math.max(SETS_MIN, Math.floor(entries / ENTRIES_PER_SET))
    this.ghosts = new Uint16Array(sets * GHOSTS_PER_SET)
  }

  /** Remembers an entry that is evicted; `entries`: how many the cache has. */
  add(hash: number, wasWarm: boolean, entries: number): void {
    const { ghosts } = this
    const first = firstOf(hash, entries)
    for (let at = first + GHOSTS_PER_SET - 1; at > first; at--) ghosts[at] = ghosts[at - 1]
    ghosts[first] = printOf(hash) | (wasWarm ? KIND_MASK : 0)
  }

  /** Takes the ghost of a key; null: it has none. Returns the same record each time. */
  take(hash: number, entries: number): TakenGhost | null {
    const { ghosts } = this
    const first = firstOf(hash, entries)
    const end = first + GHOSTS_PER_SET
    const print = printOf(hash)
    let at = first
    while (at < end && (ghosts[at] & ~KIND_MASK) !== print) at++
    if (at === end) return null
    taken.place = at - first
    taken.wasWarm = (ghosts[at] & KIND_MASK) !== 0
    for (; at < end - 1; at++) ghosts[at] = ghosts[at + 1]
    ghosts[end - 1] = EMPTY
    return taken
  }

  clear(): void {
    this.ghosts.fill(EMPTY)
  }
}

function firstOf(hash: number, entries: number): number {
  const sets = Math.max(SETS_MIN, Math.floor(entries / ENTRIES_PER_SET))
  const mask = 0xffffffff >>> Math.clz32(sets - 1)
  const set = (Math.imul(hash ^ (hash >>> 13), SET_SPREAD) >>> 5) & mask
  return (set < sets ? set : set & (mask >> 1)) * GHOSTS_PER_SET
}

/** Never 0; bit 0 is free. */
function printOf(hash: number): number {
  return (Math.imul(hash, PRINT_SPREAD) >>> 16) & ~KIND_MASK || 2
}
