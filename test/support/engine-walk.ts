/**
 * A random walk over a cache, compared with the model at each step: every operation of the engine,
 * values in one piece and in many, reads of values whose items are long gone.
 */
import assert from 'node:assert/strict'
import { lock, unlock } from '../../lib/engine/arena/lock.ts'
import { Cache, type CacheOptions } from '../../lib/engine/cache.ts'
import { EVICTIONS } from '../../lib/engine/limits.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { Upkeep } from '../../lib/engine/upkeep/upkeep.ts'
import { type Entry, Model, type ModelRules } from './engine-model.ts'
import { type Held, Peer } from './engine-peer.ts'
import { isWhole, makeValue } from './engine-values.ts'
import type { Random } from './prng.ts'

const MODES = [Mode.SET, Mode.SET, Mode.SET, Mode.ADD, Mode.REPLACE, Mode.CAS]
/** A CAS that no item ever has. */
const NO_CAS = 1n << 60n
const NUMBERS = ['0', '9', '99', '18446744073709551615', '18446744073709551616', '7   ', '', 'x']
const DELTAS = [0n, 1n, 2n, 99n, 10_000_000_000n, (1n << 64n) - 1n]

export interface WalkOptions {
  keys: number
  lengths: (random: Random) => number
  cache: CacheOptions
  rules: ModelRules
  /** Longest value after append and prepend. */
  joinBytesMax: number
  /** Most values in flight in each direction. */
  holdsMax: number
}

/** A value being read: it stays the same even when its item is gone. */
interface Reading {
  held: Held
  value: Buffer
  offset: number
}

/** A value being written. */
interface Writing {
  held: Held
  key: string
  mode: Mode
  entry: Entry
  offset: number
  casGiven: bigint
}

export class Walk {
  readonly peer: Peer
  readonly model: Model
  readonly #options: WalkOptions
  readonly #random: Random
  readonly #readings: Reading[] = []
  readonly #writings: Writing[] = []
  /** Upkeep of each shard, done in single steps so that every state in between is seen. */
  readonly #upkeeps: Upkeep[]
  #serial = 0

  constructor(options: WalkOptions, random: Random) {
    this.#options = options
    this.#random = random
    this.peer = new Peer(Cache.create(options.cache))
    this.#upkeeps = this.peer.cache.shards.map(({ arena }) => new Upkeep(arena))
    this.model = new Model(options.rules, this.peer.nowS())
  }

  /** One random operation, compared with the model; returns what it was. */
  step(): string {
    const key = this.#key()
    const kind = this.#random.below(100)
    if (kind < 34) return this.#store(key)
    if (kind < 40) return this.#join(key)
    if (kind < 58) return this.#get(key)
    if (kind < 61) return this.#touch(key)
    if (kind < 66) return this.#remove(key)
    if (kind < 74) return this.#adjust(`n${this.#random.below(4)}`)
    if (kind < 77) return this.#hold(key)
    if (kind < 83) return this.#read()
    if (kind < 86) return this.#begin(key)
    if (kind < 93) return this.#fill()
    return this.#rare()
  }

  /** Finishes values in flight and reads every key once more. */
  finish(): void {
    for (const { held } of [...this.#readings, ...this.#writings]) this.peer.release(held)
    for (const key of this.model.entries.keys()) this.model.sawHit(key, this.peer.get(key))
    this.peer.verify()
  }

  #store(key: string): string {
    const { peer, model } = this
    const mode = this.#random.pick(MODES)
    if (mode === Mode.CAS && this.#random.once(2)) this.#get(key)
    const entry = this.#entry()
    const casGiven = this.#cas(key, mode)
    const status = peer.store(mode, key, entry.value, { ...entry, ...casWords(casGiven) })
    model.sawStore(mode, key, entry, casGiven, status)
    return `store ${mode} ${key} of ${entry.value.length}: ${status}`
  }

  #join(key: string): string {
    const mode = this.#random.pick([Mode.APPEND, Mode.PREPEND])
    const entry = this.#entry()
    const length = (this.model.live(key)?.value.length ?? 0) + entry.value.length
    if (length > this.#options.joinBytesMax) return 'nothing'
    const casGiven = this.#cas(key, mode)
    const status = this.peer.store(mode, key, entry.value, { ...entry, ...casWords(casGiven) })
    this.model.sawStore(mode, key, entry, casGiven, status)
    return `join ${mode} ${key} to ${length}: ${status}`
  }

  #get(key: string): string {
    const touches = this.#random.once(4)
    const expiresAtS = this.#expiry()
    const hit = touches ? this.peer.getAndTouch(key, expiresAtS) : this.peer.get(key)
    this.model.sawHit(key, hit)
    const entry = this.model.live(key)
    if (touches && entry !== undefined) entry.expiresAtS = expiresAtS
    return `get ${key}`
  }

  #touch(key: string): string {
    const expiresAtS = this.#expiry()
    const status = this.peer.touch(key, expiresAtS)
    const entry = this.model.sawKey(key, status === Status.OK)
    if (entry !== undefined) entry.expiresAtS = expiresAtS
    return `touch ${key}`
  }

  #remove(key: string): string {
    const status = this.peer.remove(key)
    this.model.sawKey(key, status === Status.OK)
    this.model.entries.delete(key)
    return `remove ${key}`
  }

  #adjust(key: string): string {
    if (this.#random.once(5)) {
      const value = Buffer.from(this.#random.pick(NUMBERS), 'latin1')
      const entry = { value, flags: 3, expiresAtS: 0, cas: undefined }
      this.model.sawStore(Mode.SET, key, entry, 0n, this.peer.set(key, value, entry))
      return `set number ${key}`
    }
    const subtract = this.#random.once(2)
    const delta = this.#random.pick(DELTAS)
    const status = this.peer.adjust(key, subtract, delta)
    this.model.sawAdjust(key, subtract, delta, status)
    return `adjust ${key}: ${status}`
  }

  #hold(key: string): string {
    if (this.#options.holdsMax === 0) return this.#get(key)
    if (this.#readings.length >= this.#options.holdsMax) return this.#endReading()
    const held = this.peer.hold(key)
    const entry = this.model.sawKey(key, held !== undefined)
    if (held === undefined || entry === undefined) return `hold ${key}: miss`
    this.#readings.push({ held, value: entry.value, offset: 0 })
    this.model.holds++
    return `hold ${key}`
  }

  /** Reads more of a held value, whatever happened to its item. */
  #read(): string {
    if (this.#readings.length === 0) return 'nothing'
    const reading = this.#random.pick(this.#readings)
    const { held, value, offset } = reading
    const length = this.#random.between(0, value.length - offset)
    const bytes = this.peer.read(held, offset, length)
    const expected = value.subarray(offset, offset + length)
    assert(bytes.equals(expected), 'a held value changed')
    reading.offset += length
    return reading.offset === value.length ? this.#endReading(reading) : 'read on'
  }

  #endReading(reading = this.#random.pick(this.#readings)): string {
    this.#readings.splice(this.#readings.indexOf(reading), 1)
    this.peer.release(reading.held)
    this.model.holds--
    return 'release a reading'
  }

  #begin(key: string): string {
    if (this.#options.holdsMax === 0) return this.#store(key)
    if (this.#writings.length >= this.#options.holdsMax)
      return this.#commit(this.#random.pick(this.#writings))
    const { model, peer } = this
    const mode = this.#random.pick([...MODES, Mode.APPEND, Mode.PREPEND])
    const entry = this.#entry()
    const held = peer.begin(mode, key, entry.value.length, entry)
    if (held === undefined) {
      model.sawStore(mode, key, entry, 0n, peer.status)
      return `begin ${mode} ${key} of ${entry.value.length}: ${peer.status}`
    }
    assert(model.fits(key, entry.flags, entry.value.length), 'taken though too long')
    this.#writings.push({ held, key, mode, entry, offset: 0, casGiven: this.#cas(key, mode) })
    model.holds++
    return `begin ${mode} ${key} of ${entry.value.length}`
  }

  /** Writes more of a value; stores it once it is complete, drops it at times. */
  #fill(): string {
    if (this.#writings.length === 0) return 'nothing'
    const writing = this.#random.pick(this.#writings)
    const { held, entry, offset } = writing
    const left = entry.value.length - offset
    const length = this.#random.once(3) ? left : this.#random.between(0, left)
    const piece = entry.value.subarray(offset, offset + length)
    if (this.peer.fill(held, piece) !== Status.OK) return this.#giveUp(writing)
    writing.offset += length
    if (this.#random.once(20)) return this.#drop(writing)
    return writing.offset === entry.value.length ? this.#commit(writing) : 'fill on'
  }

  /** There is no memory for the rest. */
  #giveUp(writing: Writing): string {
    const { held, key, mode, entry } = writing
    this.#writings.splice(this.#writings.indexOf(writing), 1)
    this.model.holds--
    this.peer.giveUp(held, mode === Mode.SET)
    this.model.sawStore(mode, key, entry, 0n, Status.NO_MEMORY)
    return `give up ${mode} ${key}`
  }

  #drop(writing: Writing): string {
    this.#writings.splice(this.#writings.indexOf(writing), 1)
    this.model.holds--
    this.peer.release(writing.held)
    return 'drop a writing'
  }

  #commit(writing: Writing): string {
    const { held, key, mode, entry, offset, casGiven } = writing
    const rest = entry.value.subarray(offset)
    if (this.peer.fill(held, rest) !== Status.OK) return this.#giveUp(writing)
    const joined = (this.model.live(key)?.value.length ?? 0) + entry.value.length
    const joins = mode === Mode.APPEND || mode === Mode.PREPEND
    if (joins && joined > this.#options.joinBytesMax) return this.#drop(writing)
    const { casHigh, casLow } = casWords(casGiven)
    const status = this.peer.commit(mode, held, casHigh, casLow)
    this.model.sawStore(mode, key, entry, casGiven, status)
    this.#writings.splice(this.#writings.indexOf(writing), 1)
    this.model.holds--
    return `commit ${mode} ${key}: ${status}`
  }

  #rare(): string {
    const { peer, model } = this
    const kind = this.#random.below(270)
    if (kind < 2) {
      const atS = peer.nowS() + this.#random.between(-2, 20)
      peer.flush(atS)
      model.flush(atS)
      return `flush at ${atS}`
    }
    if (kind < 60) {
      const nowS = peer.nowS() + this.#random.pick([0, 1, 1, 1, 2, 5, 61])
      peer.setClock(nowS)
      model.moveClock(nowS)
      return `clock ${nowS}`
    }
    if (kind < 250) return this.#upkeep()
    if (kind < 260) return this.#get(this.#key())
    for (const shard of peer.cache.shards) shard.resetStats()
    return 'reset stats'
  }

  /** Crawls, page moves and changes of limits, one turn at a time. The model does not see them. */
  #upkeep(): string {
    const { cache } = this.peer
    if (this.#random.once(20)) cache.crawlerEnable(this.#random.once(2))
    if (this.#random.once(4)) cache.crawl()
    if (this.#random.once(2)) {
      const { classCount } = cache.shards[0].arena
      cache.reassignPage(this.#random.between(-1, classCount), this.#random.between(0, classCount))
    }
    if (this.#random.once(4)) {
      const { memoryBytes } = this.#options.cache
      cache.setMemoryLimit(memoryBytes * this.#random.pick([0.7, 0.8, 1, 1.2]))
    }
    if (this.#random.once(10)) cache.setEviction(this.#random.pick(EVICTIONS))
    const steps = this.#random.between(1, 4)
    for (const [index, shard] of cache.shards.entries()) {
      const { words } = shard.arena
      const upkeep = this.#upkeeps[index]
      for (let i = 0; i < steps; i++) {
        lock(words, shard.holder)
        upkeep.step()
        unlock(words)
      }
    }
    return `upkeep of ${steps} steps`
  }

  #entry(): Entry {
    const value = makeValue(++this.#serial, this.#options.lengths(this.#random))
    assert(isWhole(value))
    const flags = this.#random.pick([0, 0, 1, 0xffffffff])
    return { value, flags, expiresAtS: this.#expiry(), cas: undefined }
  }

  #expiry(): number {
    const nowS = this.peer.nowS()
    if (!this.#random.once(6)) return 0
    return this.#random.pick([nowS + 1, nowS + 5, nowS + 20, nowS + 300, nowS, 1])
  }

  #key(): string {
    const { keys } = this.#options
    const n = this.#random.below(this.#random.once(2) ? Math.ceil(keys / 12) : keys)
    return n % 7 === 0 ? `${n}`.padEnd(250 - (n % 5), 'k') : `k${n}`
  }

  /** The CAS that a get returned, if there was one; else a wrong one. */
  #cas(key: string, mode: Mode): bigint {
    const joins = mode === Mode.APPEND || mode === Mode.PREPEND
    if (mode !== Mode.CAS && !(joins && this.#random.once(3))) return 0n
    const known = this.model.live(key)?.cas
    if (known === undefined) return NO_CAS
    return this.#random.once(4) ? known ^ (1n << 40n) : known
  }
}

function casWords(cas: bigint): { casHigh: number; casLow: number } {
  return { casHigh: Number(cas >> 32n) | 0, casLow: Number(cas & 0xffffffffn) | 0 }
}
