/**
 * The model of shard-model.test.ts: predicts a cache's answers with a plain Map, follows the engine
 * step by step and throws at a wrong answer. Where the cache evicts, any key may be missing, and
 * after a miss the model drops it too. Where it does not, no miss is allowed.
 */
import assert from 'node:assert/strict'
import { Mode, Status } from '../../lib/engine/status.ts'
import type { Hit } from './engine-peer.ts'

export interface Entry {
  value: Buffer
  flags: number
  expiresAtS: number
  /** Known once a get has returned it. */
  cas: bigint | undefined
}

export interface ModelRules {
  /** Items may be evicted. */
  evicts: boolean
  /** Stores may be refused even while nothing is held. */
  refuses: boolean
  itemBytesMax: number
}

/** Bytes that memcached counts for an item in addition to flags, key and value. */
const ITEM_BYTES = 59

export class Model {
  readonly entries = new Map<string, Entry>()
  readonly rules: ModelRules
  /** Values in flight: a store may be refused while there are any. */
  holds = 0
  nowS: number
  #flushAtS = 0
  #oldCas = new Map<string, bigint>()

  constructor(rules: ModelRules, nowS: number) {
    this.rules = rules
    this.nowS = nowS
  }

  /** The entry that a get must find, or may find where the cache evicts. */
  live(key: string): Entry | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    if (entry.expiresAtS === 0 || entry.expiresAtS > this.nowS) return entry
    this.entries.delete(key)
    return undefined
  }

  moveClock(nowS: number): void {
    this.nowS = nowS
    if (this.#flushAtS !== 0 && this.#flushAtS <= nowS) this.#flushAll()
  }

  flush(atS: number): void {
    this.#flushAtS = atS
    if (atS <= this.nowS) this.#flushAll()
  }

  /** Records whether the engine found the key. Returns the entry if it did. */
  sawKey(key: string, found: boolean): Entry | undefined {
    const entry = this.live(key)
    if (found) {
      assert(entry !== undefined, `${key} is found though it has ended or never was`)
      return entry
    }
    if (entry === undefined) return undefined
    assert(this.rules.evicts, `${key} is missing`)
    this.entries.delete(key)
    return undefined
  }

  sawHit(key: string, hit: Hit | undefined): void {
    const entry = this.sawKey(key, hit !== undefined)
    if (hit === undefined || entry === undefined) return
    assert(hit.value.equals(entry.value), `${key} has a wrong or stale value`)
    assert.equal(hit.flags, entry.flags, `flags of ${key}`)
    const cas = casOf(hit)
    if (entry.cas !== undefined) assert.equal(cas, entry.cas, `CAS of ${key}`)
    else assert(cas > (this.#oldCas.get(key) ?? 0n), `CAS of ${key} is new`)
    entry.cas = cas
    this.#oldCas.set(key, cas)
  }

  /** `casGiven` counts for Mode.CAS, and for joins unless it is 0. */
  sawStore(mode: Mode, key: string, entry: Entry, casGiven: bigint, status: Status): void {
    const old = this.live(key)
    if (!this.fits(key, entry.flags, entry.value.length)) {
      assert.equal(status, Status.TOO_LARGE, `a store of ${entry.value.length} bytes`)
      if (mode === Mode.SET) this.entries.delete(key)
    } else if (status === Status.NO_MEMORY) {
      this.sawRefusal()
      if (mode === Mode.SET) this.entries.delete(key)
    } else if (mode === Mode.SET) {
      assert.equal(status, Status.OK, `set ${key}`)
      this.entries.set(key, entry)
    } else if (mode === Mode.APPEND || mode === Mode.PREPEND) {
      if (status === Status.OK) this.#sawJoin(mode, key, entry, old, casGiven)
      else this.#sawNoJoin(key, entry, old, casGiven, status)
    } else if (mode === Mode.CAS) {
      this.#sawCas(key, entry, casGiven, status)
    } else {
      this.#sawCondition(mode, key, entry, status)
    }
  }

  /** incr or decr. */
  sawAdjust(key: string, subtract: boolean, delta: bigint, status: Status): void {
    if (status === Status.NO_MEMORY) {
      assert(this.live(key) !== undefined, `${key} is adjusted though it is not there`)
      this.sawRefusal()
      return
    }
    const entry = this.sawKey(key, status !== Status.MISS)
    if (entry === undefined) return
    const text = entry.value.toString('latin1')
    const isNumber = /^\d{1,20} *$/.test(text) && BigInt(text.trim()) < 1n << 64n
    assert.equal(status, isNumber ? Status.OK : Status.NON_NUMERIC, `adjust ${key}`)
    if (!isNumber) return
    const number = BigInt(text.trim())
    const below = number > delta ? number - delta : 0n
    const result = subtract ? below : (number + delta) & 0xffffffffffffffffn
    entry.value = Buffer.from(result.toString().padEnd(text.length, ' '), 'latin1')
    entry.cas = undefined
  }

  sawRefusal(): void {
    assert(this.rules.refuses || this.holds > 0, 'refused for memory though nothing is held')
  }

  fits(key: string, flags: number, valueBytes: number): boolean {
    return ITEM_BYTES + key.length + (flags === 0 ? 0 : 4) + valueBytes <= this.rules.itemBytesMax
  }

  #sawCondition(mode: Mode, key: string, entry: Entry, status: Status): void {
    const found = mode === Mode.ADD ? status === Status.NOT_STORED : status === Status.OK
    assert(status === Status.OK || status === Status.NOT_STORED, `add or replace ${key}: ${status}`)
    this.sawKey(key, found)
    if (status === Status.OK) this.entries.set(key, entry)
  }

  #sawCas(key: string, entry: Entry, casGiven: bigint, status: Status): void {
    const old = this.sawKey(key, status !== Status.MISS)
    if (old === undefined) return
    if (old.cas === undefined) assert.equal(status, Status.EXISTS, `cas of ${key} is out of date`)
    else assert.equal(status, old.cas === casGiven ? Status.OK : Status.EXISTS, `cas ${key}`)
    if (status === Status.OK) this.entries.set(key, entry)
  }

  #sawNoJoin(
    key: string,
    part: Entry,
    old: Entry | undefined,
    casGiven: bigint,
    status: Status,
  ): void {
    if (old !== undefined && casGiven !== 0n && casGiven !== old.cas) {
      if (status !== Status.NOT_STORED) {
        assert.equal(status, Status.EXISTS, `append to ${key} with another CAS`)
        return
      }
    }
    assert.equal(status, Status.NOT_STORED, `append to ${key}`)
    if (old === undefined) return
    const length = old.value.length + part.value.length
    if (!this.fits(key, old.flags, length)) return
    // A miss is allowed where items are evicted, out of memory where they are not.
    assert(this.rules.evicts || this.rules.refuses || this.holds > 0, `append to ${key}`)
  }

  #sawJoin(mode: Mode, key: string, part: Entry, old: Entry | undefined, casGiven: bigint): void {
    assert(old !== undefined, `append to ${key}, which is not there`)
    assert(casGiven === 0n || casGiven === old.cas, `append to ${key} with another CAS`)
    const length = old.value.length + part.value.length
    assert(this.fits(key, old.flags, length), `append to ${key} beyond the limit`)
    const parts = mode === Mode.APPEND ? [old.value, part.value] : [part.value, old.value]
    old.value = Buffer.concat(parts)
    old.cas = undefined
  }

  #flushAll(): void {
    this.#flushAtS = 0
    this.entries.clear()
  }
}

export function casOf(hit: { casHigh: number; casLow: number }): bigint {
  return (BigInt(hit.casHigh >>> 0) << 32n) | BigInt(hit.casLow >>> 0)
}
