// Which class of a miniature cache gives memory to which under `worth`: engine/room/worth.ts for
// few entries. Pages are shares of the memory here. A difference between two classes counts at
// once, though it may be chance: with few entries it would take too long to be sure.

import { PROBATION_SHARE_LEAST, PROBATION_SHARE_MOST } from '../../engine/items/ghosts.ts'
import {
  EVICTED_PRIOR,
  EVICTED_WEIGHT,
  FADE,
  LONG_SHARE,
  LOOK_ITEMS,
  LOOK_PAGEFULS,
  MOVE_EXPONENT,
} from '../../engine/room/worth.ts'
import { LONG_CLASS, MINI_CLASSES, type MiniCache, type MiniMemory } from './mini-cache.ts'
import { GHOSTS_PER_SET, type TakenGhost } from './mini-ghosts.ts'

const PROBATION_FIRST = 0.1

const NONE = -1

export class MiniWorth {
  /** A class with less than this share of what a page is worth elsewhere gives one. */
  ratio = 0.8
  /** The class that evicts for another one, that one, and the bytes that are still due. */
  from = NONE
  to = NONE
  dueBytes = 0
  private readonly cache: MiniCache
  private pageBytes = 0
  private longFloorBytes = 0
  /** Entries for each item of an arena. */
  private scale = 1
  /** By class: the share of new entries, ghosts made of COLD and of WARM, and faded counts. */
  private readonly probation = new Float64Array(MINI_CLASSES).fill(PROBATION_FIRST)
  private readonly ghostsCold = new Int32Array(MINI_CLASSES)
  private readonly ghostsWarm = new Int32Array(MINI_CLASSES)
  private readonly returned = new Float64Array(MINI_CLASSES)
  private readonly returnedEarly = new Float64Array(MINI_CLASSES)
  private readonly evicted = new Float64Array(MINI_CLASSES)
  private watchedOfAll = 0
  private evictedBytes = 0
  private evictedEntries = 0

  constructor(cache: MiniCache) {
    this.cache = cache
  }

  setMemory({ pageBytes, limitBytes, scale }: MiniMemory): void {
    this.scale = scale
    this.pageBytes = pageBytes
    this.longFloorBytes = limitBytes / LONG_SHARE
  }

  probationOf(id: number): number {
    return this.probation[id]
  }

  /** An entry was evicted that leaves a ghost. */
  noteEvicted(id: number, bytes: number, wasWarm: boolean): void {
    const { ghostsCold, ghostsWarm } = this
    this.evicted[id]++
    this.evictedEntries++
    this.evictedBytes += bytes
    if (ghostsCold[id] + ghostsWarm[id] > 2 * (this.cache.classCount(id) + 1)) {
      ghostsCold[id] >>= 1
      ghostsWarm[id] >>= 1
    }
    if (wasWarm) ghostsWarm[id]++
    else ghostsCold[id]++
  }

  /** A key came back as a ghost. */
  noteReturned(id: number, { place, wasWarm }: TakenGhost): void {
    const cold = this.ghostsCold[id] + 1
    const warm = this.ghostsWarm[id] + 1
    const weight = (2 * (wasWarm ? cold : -warm)) / (cold + warm)
    const share = this.probation[id] - weight / (this.cache.classCount(id) + 1)
    this.probation[id] = Math.min(Math.max(share, PROBATION_SHARE_LEAST), PROBATION_SHARE_MOST)
    this.returned[id]++
    this.returnedEarly[id] += 1 - (place + 0.5) / GHOSTS_PER_SET
  }

  /** Compares the classes, if enough was evicted since the last comparison. */
  compare(): void {
    if (this.evictedBytes < LOOK_PAGEFULS * this.pageBytes) return
    if (this.evictedEntries < LOOK_ITEMS * this.scale) return
    this.evictedBytes = 0
    this.evictedEntries = 0
    this.watchedOfAll = 0
    for (let id = 0; id < MINI_CLASSES; id++) {
      this.returned[id] *= FADE
      this.returnedEarly[id] *= FADE
      this.evicted[id] *= FADE
      this.watchedOfAll += this.watchedOf(id)
    }
    this.weigh()
  }

  private weigh(): void {
    const { cache } = this
    let least = NONE
    let most = NONE
    let leastWorth = Number.POSITIVE_INFINITY
    let mostWorth = 0
    for (let id = 0; id < MINI_CLASSES; id++) {
      if (cache.classCount(id) === 0) continue
      const worth = this.worthOf(id) / cache.classBytes[id]
      const floor = id === LONG_CLASS ? this.longFloorBytes : cache.floorOf(id)
      const spare = cache.classBytes[id] - floor
      if (worth < leastWorth && spare > this.pageBytes / 2) {
        least = id
        leastWorth = worth
      }
      if (worth > mostWorth && this.evicted[id] >= 1) {
        most = id
        mostWorth = worth
      }
    }
    if (least === NONE || most === NONE || least === most) return
    if (leastWorth >= mostWorth * this.ratio) return
    this.from = least
    this.to = most
    this.dueBytes = this.pageBytes
    const given = cache.classBytes[least]
    const got = cache.classBytes[most]
    this.expect(least, given / Math.max(this.pageBytes, given - this.pageBytes))
    this.expect(most, got / (got + this.pageBytes))
  }

  /** The returned entries that are expected once a class has more or less memory. */
  private expect(id: number, factor: number): void {
    this.returned[id] *= factor ** MOVE_EXPONENT
    this.returnedEarly[id] *= factor ** MOVE_EXPONENT
  }

  private worthOf(id: number): number {
    const prior = EVICTED_PRIOR * this.scale
    const entries = this.cache.classCount(id) + prior
    const watched = this.watchedOf(id) / Math.max(1, this.watchedOfAll)
    const shortage = Math.sqrt(entries / (watched * this.cache.count + prior))
    return this.returned[id] * shortage + this.evicted[id] * EVICTED_WEIGHT
  }

  private watchedOf(id: number): number {
    return Math.max(0, this.evicted[id] - this.returnedEarly[id])
  }
}
