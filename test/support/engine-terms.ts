/**
 * The walk of leases.test.ts: random operations with terms, compared with a plain Map. It predicts
 * every answer and throws where the engine differs. Where the cache evicts, a missing key is
 * dropped from the model.
 */
import assert from 'node:assert/strict'
import { Area } from '../../lib/bytes/area.ts'
import type { Arena } from '../../lib/engine/arena/arena.ts'
import type { Ref } from '../../lib/engine/arena/layout.ts'
import * as L from '../../lib/engine/arena/layout.ts'
import { Cache, type CacheOptions } from '../../lib/engine/cache.ts'
import { casHighOf, casLowOf, expiryOf, itemFlags, readValue } from '../../lib/engine/items/item.ts'
import { createPlace, rewind } from '../../lib/engine/items/place.ts'
import type { Shard } from '../../lib/engine/shard.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { Ask, type HitSink } from '../../lib/engine/storing/ask.ts'
import { limbs, Peer } from './engine-peer.ts'
import type { Random } from './prng.ts'

interface Entry {
  value: string
  flags: number
  endsAtS: number
  stale: boolean
  claimed: boolean
  fetched: boolean
  keyBinary: boolean
  cas: bigint
}

const MODES = [Mode.SET, Mode.SET, Mode.ADD, Mode.REPLACE, Mode.APPEND, Mode.PREPEND, Mode.CAS]
const NUMBERS = ['0', '9', '99', '18446744073709551615', 'x', '', '100']
const WRAP = 1n << 64n
const CHOSEN = [1n, 5n, 1n << 40n, WRAP - 1n]

/** Copies what an item shows; refuses at times, as a full reply does. */
class FactsSink implements HitSink {
  answer: Status = Status.OK
  entry: Entry | undefined

  accept(arena: Arena, ref: Ref): Status {
    if (this.answer === Status.NO_ROOM) return this.answer
    const { words } = arena
    const meta = words[ref + L.ITEM_META]
    const to = Area.allocate(words[ref + L.ITEM_VALUE_BYTES])
    readValue(arena, ref, to, 0)
    this.entry = {
      value: to.bytes.toString('latin1'),
      flags: itemFlags(arena, ref),
      endsAtS: expiryOf(arena, ref),
      stale: (meta & L.STATE_STALE) !== 0,
      claimed: (meta & L.STATE_CLAIMED) !== 0,
      fetched: (meta & L.STATE_FETCHED) !== 0,
      keyBinary: (meta & L.STATE_KEY_BINARY) !== 0,
      cas: casOfWords(casHighOf(arena, ref), casLowOf(arena, ref)),
    }
    return this.answer
  }
}

export class TermsWalk {
  readonly peer: Peer
  readonly #random: Random
  readonly #evicts: boolean
  readonly #keys: number
  readonly #lengths: number[]
  readonly #entries = new Map<string, Entry>()
  readonly #sink = new FactsSink()
  readonly #terms = new Ask(Area.allocate(1))

  constructor(
    random: Random,
    keys: number,
    lengths: number[],
    cache: CacheOptions,
    evicts: boolean,
  ) {
    this.peer = new Peer(Cache.create(cache))
    this.#random = random
    this.#keys = keys
    this.#lengths = lengths
    this.#evicts = evicts
  }

  /** One random operation, compared with the model; returns what it was. */
  step(): string {
    const key = `k${this.#random.below(this.#keys)}`
    this.#reset()
    this.#ask(key)
    const kind = this.#random.below(100)
    if (kind < 35) return this.#fetch(key)
    if (kind < 60) return this.#store(key)
    if (kind < 75) return this.#remove(key)
    if (kind < 85) return this.#adjust(key)
    if (kind < 93) return this.#classic(key)
    return this.#rare()
  }

  /** Reads every key and compares it with the model. */
  finish(): void {
    for (const key of this.#entries.keys()) this.#look(key)
    this.peer.verify()
  }

  #fetch(key: string): string {
    const terms = this.#terms
    const old = this.#look(key)
    this.#sink.answer = this.#random.once(8) ? Status.NO_ROOM : Status.OK
    const status = this.#at(key).get(terms, this.#sink)
    if (status === Status.NO_ROOM) {
      this.#sink.answer = Status.OK
      if (old === undefined) assert.equal(this.#look(key), undefined, 'nothing is left behind')
      return `fetch ${key} without room`
    }
    if (old === undefined) return this.#sawMiss(key, status)
    assert.equal(status, Status.OK)
    assert.equal(terms.created, false)
    assert.equal(terms.wasClaimed, old.claimed)
    assert.equal(terms.wasStale, old.stale)
    assert.equal(terms.oldExpiresAtS, old.endsAtS)
    const endsAtS = terms.touches && terms.recachesTouched ? terms.expiresAtS : old.endsAtS
    const soon = terms.recaches && endsAtS !== 0 && endsAtS < terms.recacheAtS
    assert.equal(terms.won, !old.claimed && (old.stale || soon), `who wins ${key}`)
    if (terms.won) old.claimed = true
    if (terms.touches) old.endsAtS = terms.expiresAtS
    if (terms.bumps) old.fetched = true
    return `fetch ${key}`
  }

  #sawMiss(key: string, status: Status): string {
    const terms = this.#terms
    if (!terms.creates) {
      assert.equal(status, Status.MISS)
      return `fetch ${key}: miss`
    }
    assert.equal(status, Status.OK)
    assert(terms.created && terms.won && !terms.wasClaimed && !terms.wasStale)
    this.#entries.set(key, {
      value: '',
      flags: 0,
      endsAtS: this.#endOfCreated(),
      stale: false,
      claimed: true,
      fetched: terms.bumps,
      keyBinary: terms.isKeyBinary,
      cas: this.#newCas(),
    })
    return `fetch makes ${key}`
  }

  #store(key: string): string {
    const { peer } = this
    const terms = this.#terms
    const old = this.#look(key)
    const value = this.#value()
    terms.mode = this.#random.pick(MODES)
    if (terms.mode === Mode.CAS) terms.compares = true
    if (!terms.compares) terms.casHigh = terms.casLow = 0
    const joins = terms.mode === Mode.APPEND || terms.mode === Mode.PREPEND
    const endsAtS = joins && terms.creates ? terms.createAtS : terms.expiresAtS
    const status = this.#put(key, value)
    const wanted = this.#judge(old)
    assert.equal(status, wanted, `store ${terms.mode} ${key}`)
    if (status !== Status.OK) {
      assert.equal(terms.storedBytes, value.length)
      return `store ${terms.mode} ${key}: ${status}`
    }
    const given = casOfWords(terms.casHigh, terms.casLow)
    const stale = old !== undefined && terms.mode === Mode.CAS && given !== old.cas
    const cas = this.#newCas()
    if (joins && old !== undefined) {
      const whole = terms.mode === Mode.APPEND ? old.value + value : value + old.value
      Object.assign(old, { value: whole, stale: false, claimed: false, fetched: false, cas })
      old.keyBinary ||= terms.isKeyBinary
      assert.equal(terms.storedBytes, whole.length)
    } else {
      this.#entries.set(key, {
        value,
        flags: terms.flags,
        endsAtS: stale ? old.endsAtS : endsAtS,
        stale,
        claimed: stale && old.claimed,
        fetched: false,
        keyBinary: terms.isKeyBinary,
        cas,
      })
      assert.equal(terms.storedBytes, value.length)
    }
    peer.status = status
    return `store ${terms.mode} ${key} of ${value.length}`
  }

  /** In one piece, or begun, filled and committed. */
  #put(key: string, value: string): Status {
    const { peer } = this
    const ask = this.#terms
    const bytes = new Area(Buffer.from(value, 'latin1'))
    ask.valueBytes = value.length
    ask.dropsOld = true
    if (this.#random.once(2)) {
      return this.#at(key).store(ask, bytes, 0)
    }
    const shard = this.#at(key)
    assert.equal(shard.begin(ask), Status.OK)
    const held = { shard, ask, hold: ask.hold, valueBytes: value.length }
    const place = createPlace()
    rewind(place, value.length)
    assert.equal(peer.fill({ ...held, place }, bytes.bytes), Status.OK)
    return shard.commit(ask)
  }

  #judge(old: Entry | undefined): Status {
    const { mode, creates, invalidates, casHigh, casLow } = this.#terms
    const given = casOfWords(casHigh, casLow)
    if (mode === Mode.SET) return Status.OK
    if (mode === Mode.ADD) return old === undefined ? Status.OK : Status.NOT_STORED
    if (mode === Mode.REPLACE)
      return old === undefined ? Status.NOT_STORED : this.#match(old, given)
    if (mode === Mode.CAS) {
      if (old === undefined) return Status.MISS
      if (given === old.cas) return Status.OK
      return invalidates && given !== 0n && given < old.cas ? Status.OK : Status.EXISTS
    }
    if (old === undefined) return creates ? Status.OK : Status.NOT_STORED
    return this.#match(old, given)
  }

  #match(old: Entry, given: bigint): Status {
    return given === 0n || given === old.cas ? Status.OK : Status.EXISTS
  }

  #remove(key: string): string {
    const terms = this.#terms
    const old = this.#look(key)
    terms.clears = this.#random.once(3)
    const status = this.#at(key).remove(terms)
    const given = casOfWords(terms.casHigh, terms.casLow)
    if (old === undefined) assert.equal(status, Status.MISS)
    else if (terms.compares && given !== old.cas) assert.equal(status, Status.EXISTS)
    else {
      assert.equal(status, Status.OK)
      if (!terms.clears && !terms.invalidates) this.#entries.delete(key)
      if (terms.clears) {
        const { flags, expiresAtS } = terms
        const endsAtS = terms.touches ? expiresAtS : 0
        Object.assign(old, { value: '', flags, endsAtS, stale: false, claimed: false })
        old.fetched = false
        old.keyBinary ||= terms.isKeyBinary
        if (this.#chosen() !== 0n) old.cas = this.#chosen()
      }
      if (terms.invalidates) {
        Object.assign(old, { stale: true, claimed: false, cas: this.#newCas() })
        if (terms.touches) old.endsAtS = terms.expiresAtS
      }
    }
    return `remove ${key}: ${status}`
  }

  #adjust(key: string): string {
    const terms = this.#terms
    const old = this.#look(key)
    const subtract = this.#random.once(2)
    const delta = this.#random.pick([0n, 1n, 5n, 99n, WRAP - 1n])
    const initial = this.#random.pick([0n, 7n, WRAP - 1n])
    terms.subtracts = subtract
    ;[terms.deltaHigh, terms.deltaLow] = limbs(delta)
    ;[terms.initialHigh, terms.initialLow] = limbs(initial)
    const status = this.#at(key).adjust(terms)
    if (old === undefined) {
      assert.equal(status, terms.creates ? Status.OK : Status.MISS)
      if (status === Status.OK) this.#addNumber(key, initial)
      return `adjust ${key}: ${status}`
    }
    const wanted = this.#judgeNumber(old)
    assert.equal(status, wanted, `adjust ${key}`)
    if (status !== Status.OK) return `adjust ${key}: ${status}`
    const number = numberOf(old.value) ?? 0n
    const sum = subtract ? (number > delta ? number - delta : 0n) : (number + delta) % WRAP
    assert.equal(BigInt(terms.numberHigh) * 10_000_000_000n + BigInt(terms.numberLow), sum)
    assert.equal(terms.oldExpiresAtS, old.endsAtS)
    old.value = `${sum}`.padEnd(old.value.length)
    old.cas = this.#newCas()
    if (terms.touches) old.endsAtS = terms.expiresAtS
    // A longer number may be stored as a new item, which loses the state of hits and leases.
    const seen = this.#show(key)
    if (seen !== undefined) {
      for (const state of ['stale', 'claimed', 'fetched'] as const) old[state] &&= seen[state]
      old.keyBinary = seen.keyBinary
    }
    return `adjust ${key}: ${sum}`
  }

  #judgeNumber(old: Entry): Status {
    const given = casOfWords(this.#terms.casHigh, this.#terms.casLow)
    if (old.value === '') return Status.NON_NUMERIC
    if (given !== 0n && given !== old.cas) return Status.EXISTS
    const number = numberOf(old.value)
    return number !== undefined && number < WRAP ? Status.OK : Status.NON_NUMERIC
  }

  #addNumber(key: string, initial: bigint): void {
    const { isKeyBinary: keyBinary, created } = this.#terms
    assert(created)
    this.#entries.set(key, {
      value: `${initial}`,
      flags: 0,
      endsAtS: this.#endOfCreated(),
      stale: false,
      claimed: false,
      fetched: false,
      keyBinary,
      cas: this.#newCas(),
    })
  }

  /** The commands without terms see and change the same items. */
  #classic(key: string): string {
    const { peer } = this
    const old = this.#look(key)
    switch (this.#random.below(4)) {
      case 0: {
        assert.equal(peer.get(key)?.value.toString('latin1'), old?.value)
        if (old !== undefined) old.fetched = true
        return `get ${key}`
      }
      case 1: {
        const endsAtS = this.#end()
        assert.equal(peer.touch(key, endsAtS), old === undefined ? Status.MISS : Status.OK)
        if (old !== undefined) Object.assign(old, { endsAtS, fetched: true })
        return `touch ${key}`
      }
      case 2:
        assert.equal(peer.remove(key), old === undefined ? Status.MISS : Status.OK)
        this.#entries.delete(key)
        return `remove ${key}`
      default: {
        const value = this.#value()
        assert.equal(peer.set(key, Buffer.from(value, 'latin1'), { flags: 9 }), Status.OK)
        const none = { stale: false, claimed: false, fetched: false, keyBinary: false }
        this.#entries.set(key, { value, flags: 9, endsAtS: 0, ...none, cas: casGiven(peer.ask) })
        return `set ${key}`
      }
    }
  }

  #rare(): string {
    const { peer } = this
    if (this.#random.once(6)) {
      peer.flush(peer.nowS())
      this.#entries.clear()
      return 'flush'
    }
    peer.setClock(peer.nowS() + this.#random.pick([0, 1, 2, 5, 61]))
    return `clock ${peer.nowS()}`
  }

  /** Without any term yet. */
  #reset(): void {
    const terms = this.#terms
    terms.resetTerms()
    terms.isPlain = false
    terms.mode = Mode.SET
    terms.flags = 0
    terms.expiresAtS = 0
    terms.casHigh = terms.casLow = 0
  }

  /** Sets the key of the terms. Returns its shard. */
  #at(key: string): Shard {
    return this.peer.locate(this.#terms, key)
  }

  /** Compares the item with the model; this does not count as a hit. */
  #look(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    const nowS = this.peer.nowS()
    if (entry !== undefined && entry.endsAtS !== 0 && entry.endsAtS <= nowS)
      this.#entries.delete(key)
    const seen = this.#show(key)
    const wanted = this.#entries.get(key)
    if (seen === undefined && wanted !== undefined && this.#evicts) this.#entries.delete(key)
    else assert.deepEqual(seen, wanted, `${key} is what it has to be`)
    return this.#entries.get(key)
  }

  #show(key: string): Entry | undefined {
    this.#sink.entry = undefined
    this.#sink.answer = Status.OK
    const ask = new Ask(this.#terms.area)
    this.peer.locate(ask, key).peek(ask, this.#sink)
    return this.#sink.entry
  }

  /** Random terms; an operation ignores those it has no use for. */
  #ask(key: string): void {
    const random = this.#random
    const terms = this.#terms
    terms.flags = random.pick([0, 0, 1, 0xffffffff])
    terms.isKeyBinary = random.once(4)
    terms.compares = random.once(4)
    const known = this.#entries.get(key)?.cas ?? 0n
    const cas = random.pick([known, known, 0n, 1n, known + 1n, WRAP - 1n])
    if (terms.compares || random.once(2)) setWords(terms, 'cas', cas % WRAP)
    if (random.once(4)) setWords(terms, 'newCas', random.pick(CHOSEN))
    terms.touches = random.once(3)
    if (terms.touches) terms.expiresAtS = this.#end()
    terms.creates = random.once(2)
    if (terms.creates) terms.createAtS = this.#end()
    terms.touchesCreated = random.once(2)
    terms.recaches = random.once(3)
    if (terms.recaches) terms.recacheAtS = this.#end()
    terms.recachesTouched = random.once(2)
    terms.bumps = !random.once(3)
    terms.invalidates = random.once(3)
  }

  #endOfCreated(): number {
    const { touches, touchesCreated, expiresAtS, createAtS } = this.#terms
    return touches && touchesCreated ? expiresAtS : createAtS
  }

  #chosen(): bigint {
    return casOfWords(this.#terms.newCasHigh, this.#terms.newCasLow)
  }

  /** The CAS that the engine gave: the chosen one, if one was chosen. */
  #newCas(): bigint {
    const given = casGiven(this.#terms)
    if (this.#chosen() !== 0n) assert.equal(given, this.#chosen())
    return given
  }

  #end(): number {
    const nowS = this.peer.nowS()
    return this.#random.pick([0, 0, 0, nowS + 1, nowS + 5, nowS + 100, nowS + 300, 1])
  }

  #value(): string {
    if (this.#random.once(2)) return this.#random.pick(NUMBERS)
    return 'v'.repeat(this.#random.pick(this.#lengths))
  }
}

/** Reads numbers as memcached does: what follows a space is ignored. */
function numberOf(value: string): bigint | undefined {
  const digits = /^(\d+)(?: |$)/.exec(value)?.[1]
  return digits === undefined ? undefined : BigInt(digits)
}

function setWords(terms: Ask, name: 'cas' | 'newCas', cas: bigint): void {
  terms[`${name}High`] = Number(cas >> 32n) | 0
  terms[`${name}Low`] = Number(cas & 0xffffffffn) | 0
}

function casOfWords(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** The CAS that a store returned. */
function casGiven({ storedCasHigh, storedCasLow }: Ask): bigint {
  return casOfWords(storedCasHigh, storedCasLow)
}
