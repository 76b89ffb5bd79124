// A cache in miniature under one eviction rule: what requests for the sampled keys would hit if the
// cache had so much memory. The rules are those of engine/items/rules.ts. `lru` and `segmented`
// move pages by age, so that all sizes compete as in one class.

import type { Tuning } from '../../engine/census.ts'
import type { EvictionName } from '../../engine/limits.ts'
import {
  ACTIVE,
  FETCHED,
  FURTHER,
  FURTHER_ONE,
  MINI_CLASSES,
  MiniCache,
  type MiniKey,
  MiniList,
  type MiniMemory,
  NIL,
} from './mini-cache.ts'
import { MiniGhosts } from './mini-ghosts.ts'
import { MiniWorth } from './mini-worth.ts'

const { COLD, WARM, HOT, TEMP } = MiniList

/** Entries that are tried in search of a victim, and moved in one balance of the lists. */
const VICTIM_TRIES_MAX = 50
const BALANCE_MAX = 64

/** A hit moves an entry under `lru` at most this often, seconds, as in engine/items/lru.ts. */
const BUMP_INTERVAL_S = 60

export class Miniature {
  readonly cache: MiniCache
  readonly worth: MiniWorth
  private hotShare = 0.2
  private warmShare = 0.4
  private temporaryTtlS = 0
  private readonly rule: EvictionName
  private readonly ghosts: MiniGhosts

  /** `capacity`: most entries. */
  constructor(capacity: number, rule: EvictionName) {
    this.rule = rule
    this.cache = new MiniCache(capacity, rule === 'worth')
    this.worth = new MiniWorth(this.cache)
    this.ghosts = new MiniGhosts(capacity)
  }

  setMemory(memory: MiniMemory): void {
    this.cache.setMemory(memory)
    this.worth.setMemory(memory)
  }

  /** Sets what operators may change of the rules. */
  tune({ hotShare, warmShare, ratio, temporaryTtlS }: Tuning): void {
    this.hotShare = hotShare
    this.warmShare = warmShare
    this.temporaryTtlS = temporaryTtlS
    this.worth.ratio = ratio
  }

  /** Whether a get hits. */
  get(hash: number): boolean {
    const { cache } = this
    const entry = cache.find(hash)
    if (entry === NIL) return false
    if (cache.isExpired(entry)) {
      cache.remove(entry)
      return false
    }
    this.bump(entry)
    return true
  }

  has(hash: number): boolean {
    return this.cache.find(hash) !== NIL
  }

  /** Stores a key. False: it would have too many entries; the sample has to be smaller. */
  put(key: MiniKey): boolean {
    const { cache } = this
    const known = cache.find(key.hash)
    const id = cache.classFor(key.bytes)
    const list = this.firstListOf(key.expiresAtS)
    const staysTemp = known !== NIL && (cache.listOf(known) === TEMP) === (list === TEMP)
    if (staysTemp && cache.classOf(known) === id) {
      cache.rewrite(known, key.bytes, key.expiresAtS)
      this.renew(known)
      return true
    }
    if (known !== NIL) cache.remove(known)
    if (key.bytes > cache.limitBytes) return true
    this.makeRoom(id, key.bytes)
    if (cache.isFull) return false
    this.link(key, list, known !== NIL)
    return true
  }

  remove(hash: number): void {
    const entry = this.cache.find(hash)
    if (entry !== NIL) this.cache.remove(entry)
  }

  /** Removes the entries whose hash is not `kept`. */
  keep(kept: (hash: number) => boolean): void {
    this.cache.keep(kept)
  }

  private link(key: MiniKey, list: MiniList, wasKnown: boolean): void {
    const { cache } = this
    const mayReturn = this.rule === 'worth' && list === COLD && !wasKnown
    const ghost = mayReturn ? this.ghosts.take(key.hash, cache.count) : null
    const entry = cache.add(key, ghost === null ? list : WARM)
    if (this.rule === 'segmented') this.balance()
    if (ghost === null) return
    cache.states[entry] |= ACTIVE
    this.worth.noteReturned(cache.classOf(entry), ghost)
  }

  /** What expires soon has a list of its own, where operators want that. */
  private firstListOf(expiresAtS: number): MiniList {
    const { temporaryTtlS, cache } = this
    const endsSoon = expiresAtS !== 0 && expiresAtS - cache.nowS <= temporaryTtlS
    if (endsSoon && temporaryTtlS > 0) return TEMP
    return this.rule === 'segmented' ? HOT : COLD
  }

  /** A hit. */
  private bump(entry: number): void {
    const { states, touchedS, nowS } = this.cache
    const state = states[entry]
    if (this.rule === 'lru') {
      if (nowS - touchedS[entry] < BUMP_INTERVAL_S) return
      touchedS[entry] = nowS
      this.cache.move(entry, this.cache.listOf(entry))
    } else if (this.rule === 'segmented') {
      states[entry] = state | ((state & FETCHED) === 0 ? FETCHED : ACTIVE)
    } else if ((state & ACTIVE) === 0) {
      states[entry] = state | ACTIVE
    } else if ((state & FURTHER) !== FURTHER) {
      states[entry] = state + FURTHER_ONE
    }
  }

  /** A store over an entry of the same shape. */
  private renew(entry: number): void {
    const { cache } = this
    cache.touchedS[entry] = cache.nowS
    if (this.rule === 'lru') cache.move(entry, cache.listOf(entry))
    else cache.states[entry] |= ACTIVE
  }

  private makeRoom(id: number, bytes: number): void {
    const { cache, worth } = this
    while (cache.isShortOf(id, bytes) && cache.count > 0) {
      const donor = this.donorFor(id)
      const entry = this.victimOf(donor)
      const freed = cache.bytes[entry]
      this.evict(entry)
      if (donor === worth.from) worth.dueBytes -= freed
      else if (this.rule === 'worth') worth.compare()
    }
  }

  /** The class that evicts for another one: by worth, or itself, or the largest. */
  private donorFor(id: number): number {
    const { cache, worth } = this
    const isDue = worth.dueBytes > 0 && worth.to === id
    if (isDue && cache.classCount(worth.from) > 0) return worth.from
    return cache.classCount(id) > 0 ? id : this.largest()
  }

  private largest(): number {
    const { cache } = this
    let best = 0
    for (let id = 1; id < MINI_CLASSES; id++) {
      if (cache.classBytes[id] > cache.classBytes[best]) best = id
    }
    return best
  }

  private evict(entry: number): void {
    const { cache } = this
    const id = cache.classOf(entry)
    const list = cache.listOf(entry)
    if (this.rule === 'worth' && list !== TEMP && !cache.isExpired(entry)) {
      const wasWarm = list === WARM
      this.ghosts.add(cache.hashes[entry], wasWarm, cache.count)
      this.worth.noteEvicted(id, cache.bytes[entry], wasWarm)
    }
    cache.remove(entry)
  }

  /** The entry that a class with entries evicts; some that were used are moved on the way. */
  private victimOf(id: number): number {
    const { cache } = this
    for (let tries = 0; tries < VICTIM_TRIES_MAX; tries++) {
      const entry = cache.tailOf(id, this.listToEvict(id))
      if (entry === NIL) break
      if (!this.isUsed(entry) || cache.isExpired(entry)) return entry
      this.spend(entry)
      cache.move(entry, WARM)
      if (this.rule === 'segmented') this.balance()
    }
    const [cold, hot, warm, temp] = [COLD, HOT, WARM, TEMP].map(list => cache.tailOf(id, list))
    return cold || hot || warm || temp
  }

  private listToEvict(id: number): MiniList {
    if (this.rule !== 'worth') return COLD
    const cold = this.cache.listCount(id, COLD)
    const warm = this.cache.listCount(id, WARM)
    const isFull = cold > (cold + warm) * this.worth.probationOf(id)
    return isFull || warm === 0 ? COLD : WARM
  }

  private isUsed(entry: number): boolean {
    if (this.rule === 'lru') return false
    return (this.cache.states[entry] & (this.rule === 'worth' ? ACTIVE | FURTHER : ACTIVE)) !== 0
  }

  /** An entry spends a use to stay in WARM, and all of them to come there. */
  private spend(entry: number): void {
    const { states } = this.cache
    const isWarm = this.cache.listOf(entry) === WARM
    if (!isWarm) states[entry] &= ~(ACTIVE | FURTHER)
    else if ((states[entry] & ACTIVE) !== 0) states[entry] &= ~ACTIVE
    else states[entry] -= FURTHER_ONE
  }

  /** Segmented: HOT and WARM have their shares; what was used again goes to WARM. */
  private balance(): void {
    const { cache } = this
    let left = BALANCE_MAX
    for (const [list, share] of [
      [HOT, this.hotShare],
      [WARM, this.warmShare],
    ] as const) {
      while (cache.listCount(0, list) > cache.count * share && left-- > 0) {
        const entry = cache.tailOf(0, list)
        const isUsed = this.isUsed(entry)
        if (isUsed) this.spend(entry)
        cache.move(entry, isUsed ? WARM : COLD)
      }
    }
  }
}
