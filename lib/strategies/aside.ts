// Cache-aside: get the value from the cache, else load and store it. No two callers load the same
// value at the same time.
//
//   const users = new CacheAside(cache, { ttlS: 60, staleS: 300, negativeTtlS: 5 })
//   const user = await users.getOrSet(`user:${id}`, () => database.user(id))
//
// Callers of one CacheAside share a load. Between threads and processes the cache decides by claims
// (claims.ts): the caller that claims a key loads, the others poll until there is a value. A claim
// expires, so a dead loader delays the others no longer than that. A failed loader releases it.
//
//   load ──> the callers have the value ──> stored in the background ──> the claim is released
//
// A stored value takes the place of nothing, or of the stale one that was read before the load: so
// a newer one stays. If the claim was revoked, the value was deleted while it was loaded: what was
// stored is deleted again.
//
// A stale value is served while one caller loads the next one.
//
// Every value goes through the serializer, also a loaded one, so that a miss and a hit return the
// same kind of value (with JSON a Date is a string both times).
//
// If the cache fails the application still works: values are loaded, and `onError` is called.

import { checkKeys } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import { keepsOrder } from '../doors/order.ts'
import type { Awaitable, Item, Store } from '../doors/types.ts'
import { Batch, type Make, type ManyLoader, withoutNone } from './aside-many.ts'
import {
  type AsideOptions,
  type AsideSettings,
  type CallOptions,
  type KeyOptions,
  keepS,
  type StoreOptions,
  settingsOf,
  tagsOf,
  termsOf,
} from './aside-options.ts'
import { AsideValues, type Encoded } from './aside-values.ts'
import { type Claim, Claims, claimKeyOf } from './claims.ts'
import { encode } from './encoding.ts'
import { Owed } from './owed.ts'
import { Tags } from './tags.ts'
import { tellRead, told } from './telling.ts'

/** A caller waits for this many loads of others, none of which was stored; then it loads itself. */
const HOLDERS_MAX = 3

const AS_BYTES = { as: 'bytes' } as const

/** The cache failed. */
const AWAY = Symbol('away')

/** Makes a value. The signal is aborted at the deadline. */
export type Loader<T> = (signal: AbortSignal) => Awaitable<T>

/** The item that is replaced, and the claim of who does so. */
interface Held {
  old: Item<Buffer> | undefined
  claim: Claim | undefined
}

export class CacheAside {
  /** The tags of `getOrSet` and others. */
  readonly tags: Tags
  private readonly store: Store
  private readonly settings: AsideSettings
  private readonly values: AsideValues
  private readonly claims: Claims
  private readonly claimS: number
  private readonly owed: Owed
  /** Lookups and loads in progress, by key. */
  private readonly flights = new Map<string, Promise<unknown>>()
  private readonly refreshes = new Map<string, Promise<void>>()
  private readonly background = new Set<Promise<void>>()

  /** CacheError ARGUMENT for wrong options. */
  constructor(store: Store, options: AsideOptions) {
    this.store = store
    this.settings = settingsOf(options)
    this.values = new AsideValues(this.settings)
    this.tags = new Tags(store)
    // A cache counts whole seconds: a claim made late in a second must still last as long as a
    // load.
    this.claimS = Math.ceil(this.settings.loadMs / 1000) + 1
    this.claims = new Claims(store, this.claimS)
    this.owed = new Owed(key => this.remove(key))
  }

  /**
   * The cached value, or the loaded one as the serializer returns it. All callers that wait for one
   * load get the same object, or its error. The value is stored in the background (`settled`).
   * CacheError DEADLINE: the value was not loaded in time, here or by another process. BUSY: too
   * many loads wait, or the source fails. KEY: the cache does not allow the key.
   */
  async getOrSet<T>(key: string, load: Loader<T>, call?: CallOptions): Promise<T> {
    const make = () => this.load(key, load)
    if (call === undefined) return this.share(key, () => this.find(key, make, this.settings))
    const terms = termsOf(call, this.settings)
    call.signal?.throwIfAborted()
    const found = this.getBy(key, make, call, terms)
    return call.signal === undefined ? found : unlessAborted(found, call.signal)
  }

  /**
   * The values of many keys, by key; keys without one are left out. One call of `load` makes what
   * is missing, but for keys that others load already. Rejects as `getOrSet`.
   */
  async getOrSetMany<T>(
    keys: Iterable<string>,
    load: ManyLoader<T>,
    call: StoreOptions = {},
  ): Promise<Map<string, T>> {
    const terms = termsOf(call, this.settings)
    checkKeys(keys)
    const wanted = [...new Set(keys)]
    const own = await this.ask('', () => this.keysOf(wanted, call))
    const items = own === AWAY ? AWAY : await this.ask('', () => this.readMany(own))
    const batch = new Batch<T>(wanted.length, load, run => this.load(wanted[0], run))
    const one = (key: string, i: number): Promise<T> => {
      const place = batch.place(key)
      const find = async () => {
        if (own === AWAY || items === AWAY) return this.findIn(AWAY, key, place.make, terms)
        const item = this.owed.has(own[i]) ? AWAY : items.get(own[i])
        return this.findIn(item, own[i], place.make, terms)
      }
      if (own !== AWAY && this.flights.has(own[i])) place.leave()
      return (own === AWAY ? find() : this.share(own[i], find)).finally(place.leave)
    }
    const found = await Promise.all(wanted.map(one))
    return withoutNone(wanted.map((key, i) => [key, found[i]] as const))
  }

  /** The cached value; undefined if there is none. Rejects with the cache's errors. */
  async get<T>(key: string, call: KeyOptions = {}): Promise<T | undefined> {
    const [own] = await this.keysOf([key], call)
    if (this.owed.has(own)) return undefined
    const item = await this.read(own)
    return item && this.values.decoded<T>(own, item)?.value
  }

  /**
   * Stores a value as a load would. What is being loaded is not stored, and later callers do not
   * wait for it. Rejects with the cache's errors, CONNECTION if it did not store, and VALUE for a
   * value that cannot be serialized.
   */
  async set(key: string, value: unknown, call?: StoreOptions): Promise<void> {
    const terms = termsOf(call, this.settings)
    const { bytes, flags } = encode(value, terms.serializer)
    const [own] = await this.keysOf([key], call)
    await this.put(own, { bytes, flags }, keepS(value, terms))
  }

  /**
   * Deletes a value. Returns whether there was one. A load in progress is not stored, and later
   * callers do not wait for it. Rejects with the cache's errors: then the value may still be there.
   */
  async delete(key: string, call?: KeyOptions): Promise<boolean> {
    const [own] = await this.keysOf([key], call)
    try {
      return await this.remove(own)
    } finally {
      this.flights.delete(own)
    }
  }

  /**
   * Deletes a value now, or as soon as the cache answers; until then it is not read here. Reports
   * why it could not be deleted now. CacheError FULL: too many are to be deleted.
   */
  async discard(key: string): Promise<void> {
    await this.delete(key).catch(error => {
      this.settings.report(error, key)
      this.owed.add(key)
    })
  }

  /** The number of values that are still to be deleted from the cache. */
  get owing(): number {
    return this.owed.size
  }

  /** A value as the cache would return it, or unchanged if it cannot be serialized. */
  asStored<T>(key: string, value: T): T {
    const encoded = this.values.encoded(key, value)
    return encoded === undefined ? value : encoded.value
  }

  /** Resolves when no load and no store is in progress in the background. */
  async settled(): Promise<void> {
    while (this.background.size > 0) await Promise.all(this.background)
  }

  /** Callers share a flight. Later ones do not: the value may have changed since it was loaded. */
  private share<T>(key: string, find: () => Promise<T>): Promise<T> {
    return (this.flights.get(key) as Promise<T> | undefined) ?? this.fly(key, find)
  }

  private fly<T>(key: string, find: () => Promise<T>): Promise<T> {
    const flight = find().finally(() => {
      if (this.flights.get(key) === flight) this.flights.delete(key)
    })
    this.flights.set(key, flight)
    return flight
  }

  private async getBy<T>(
    key: string,
    make: Make<T>,
    call: CallOptions,
    terms: AsideSettings,
  ): Promise<T> {
    const hasTags = tagsOf(call).length > 0
    const own = hasTags ? await this.ask(key, () => this.keysOf([key], call)) : [key]
    if (own === AWAY) return this.loadOnly(key, make)
    if (call.refresh !== true) return this.share(own[0], () => this.find(own[0], make, terms))
    return this.fly(own[0], () => this.remake(own[0], make, terms))
  }

  /** The keys in the cache: those of items with tags contain the versions of these. */
  private async keysOf(keys: readonly string[], call: KeyOptions = {}): Promise<readonly string[]> {
    const tags = tagsOf(call)
    return tags.length === 0 ? keys : this.tags.keys(keys, ...tags)
  }

  private async find<T>(key: string, make: Make<T>, terms: AsideSettings): Promise<T> {
    const item = this.owed.has(key) ? AWAY : await this.ask(key, () => this.read(key))
    return this.findIn(item, key, make, terms)
  }

  private async findIn<T>(
    item: Item<Buffer> | undefined | typeof AWAY,
    key: string,
    make: Make<T>,
    terms: AsideSettings,
  ): Promise<T> {
    if (item === AWAY) {
      tellRead(key, 'miss')
      return this.loadOnly(key, make)
    }
    const found = item && this.values.decoded<T>(key, item)
    const hasStale = found !== undefined && isStale(item, terms)
    tellRead(key, found === undefined ? 'miss' : hasStale ? 'stale' : 'hit')
    if (found === undefined) return this.makeOrWait(key, make, terms)
    if (hasStale) this.refresh(key, make, terms)
    return found.value
  }

  private async read(key: string): Promise<Item<Buffer> | undefined> {
    return this.store.getItem<Buffer>(key, AS_BYTES)
  }

  private async readMany(keys: readonly string[]): Promise<Map<string, Item<Buffer>>> {
    return this.store.getManyItems<Buffer>(keys, AS_BYTES)
  }

  /** Loads a missing value, or waits for another caller that does. */
  private async makeOrWait<T>(key: string, make: Make<T>, terms: AsideSettings): Promise<T> {
    const deadlineMs = performance.now() + (this.claimS + 1) * 1000
    const isDone = (item: Item<Buffer> | undefined) => this.values.isReadable(item)
    for (let holders = 0; holders < HOLDERS_MAX; holders++) {
      const turn = await this.ask(key, () => this.claims.take(key, isDone))
      if (turn === AWAY) break
      const { item, claim, holder } = turn
      const isOurs = claim !== undefined || (holder === undefined && !isDone(item))
      if (isOurs) return (await this.makeAndStore(key, make, { old: item, claim }, terms)).value
      const found = item && isDone(item) ? this.values.decoded<T>(key, item) : undefined
      if (found !== undefined) return found.value
      make.waits?.()
      const wait = () => this.claims.wait(key, holder ?? '', isDone, deadlineMs)
      if ((await this.ask(key, wait)) === false) {
        throw new CacheError('DEADLINE', `${key}: another caller did not load it in time`)
      }
    }
    return this.loadOnly(key, make)
  }

  /** Loads a value whatever the cache has, and stores it over that. */
  private async remake<T>(key: string, make: Make<T>, terms: AsideSettings): Promise<T> {
    const loaded = await make()
    const encoded = this.values.encoded(key, loaded)
    if (encoded === undefined) return loaded
    this.track(this.put(key, encoded, keepS(loaded, terms)), key)
    return encoded.value
  }

  /** Asks the cache; AWAY if it fails. Rejects with KEY. */
  private async ask<T>(key: string, call: () => Promise<T>): Promise<T | typeof AWAY> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof CacheError && error.code === 'KEY') throw error
      this.settings.report(error, key)
      return AWAY
    }
  }

  private async loadOnly<T>(key: string, make: Make<T>): Promise<T> {
    return this.asStored(key, await make())
  }

  /** The value once it is loaded; `stored` resolves when it is stored and the claim released. */
  private async makeAndStore<T>(
    key: string,
    make: Make<T>,
    turn: Held,
    terms: AsideSettings,
  ): Promise<{ value: T; stored: Promise<void> }> {
    let loaded: T
    try {
      loaded = await make()
    } catch (error) {
      await this.finish(key, turn.claim, undefined)
      throw error
    }
    const encoded = this.values.encoded(key, loaded)
    const stored = this.track(this.keep(key, encoded, keepS(loaded, terms), turn), key)
    return { value: encoded === undefined ? loaded : encoded.value, stored }
  }

  /** Loads the next value in the background, unless another caller does. */
  private refresh<T>(key: string, make: Make<T>, terms: AsideSettings): void {
    if (this.refreshes.has(key) || terms.guard.isOpen()) return
    const isDone = (item: Item<Buffer> | undefined) => item === undefined || !isStale(item, terms)
    const run = async () => {
      const { item, claim } = await this.claims.take(key, isDone)
      if (claim === undefined) return
      const { stored } = await this.makeAndStore(key, make, { old: item, claim }, terms)
      await stored
    }
    const refresh = this.track(run(), key)
    this.refreshes.set(key, refresh)
    void refresh.then(() => this.refreshes.delete(key))
  }

  /** Work in the background, whose error is reported. */
  private track(work: Promise<void>, key: string): Promise<void> {
    const tracked = work.catch(error => this.settings.report(error, key))
    this.background.add(tracked)
    void tracked.finally(() => this.background.delete(tracked))
    return tracked
  }

  private async load<T>(key: string, load: Loader<T>): Promise<T> {
    const { loadMs, guard } = this.settings
    const controller = new AbortController()
    const { signal } = controller
    const timer = setTimeout(() => {
      controller.abort(new CacheError('DEADLINE', `${key}: not loaded in ${loadMs} ms`))
    }, loadMs)
    try {
      return await told(key, () => guard.run(() => load(signal), signal))
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * Stores a loaded value where `old` was, and releases the claim. If the claim was revoked, the
   * value is deleted again.
   */
  private async keep<T>(
    key: string,
    encoded: Encoded<T> | undefined,
    ttlS: number | undefined,
    { old, claim }: Held,
  ): Promise<void> {
    // A store that fails may have been carried out.
    let mayBeStored = encoded !== undefined && ttlS !== undefined
    let released: Promise<boolean> | undefined
    try {
      if (encoded === undefined) return
      if (ttlS !== undefined) {
        const isOrdered = old === undefined && keepsOrder(this.store, key, claimKeyOf(key))
        const storing = this.replace(key, encoded, ttlS, old)
        if (isOrdered) released = claim && this.claims.release(key, claim)
        released?.catch(() => {})
        mayBeStored = await storing
      } else if (old !== undefined) await this.store.delete(key, { cas: old.cas })
    } finally {
      await this.finish(key, claim, mayBeStored ? encoded : undefined, released)
    }
  }

  /** Returns whether it stored; a newer value stays. */
  private async replace<T>(
    key: string,
    { bytes, flags }: Encoded<T>,
    ttlS: number,
    old: Item<Buffer> | undefined,
  ): Promise<boolean> {
    const options = { ttlS, flags }
    if (old !== undefined) return this.store.cas(key, bytes, old.cas, options)
    if (await this.store.add(key, bytes, options)) return true
    if ((await this.read(key)) === undefined) throw notStored(key)
    return false
  }

  private async finish<T>(
    key: string,
    claim: Claim | undefined,
    stored: Encoded<T> | undefined,
    released?: Promise<boolean>,
  ): Promise<void> {
    if (claim === undefined) return
    try {
      if (await (released ?? this.claims.release(key, claim))) return
    } catch (error) {
      this.settings.report(error, key)
    }
    if (stored !== undefined) await this.takeBack(key, stored)
  }

  /** Deletes this value, but no other that was stored meanwhile. */
  private async takeBack<T>(key: string, { bytes, flags }: Encoded<T>): Promise<void> {
    try {
      const item = await this.read(key)
      if (item?.flags !== flags || !item.value.equals(bytes)) return
      await this.store.delete(key, { cas: item.cas })
    } catch (error) {
      this.owed.add(key)
      throw error
    }
  }

  /** First the claim: either its owner finds it gone, or this finds what its owner stored. */
  private async remove(key: string): Promise<boolean> {
    let failure: unknown
    const isOrdered = keepsOrder(this.store, claimKeyOf(key), key)
    const revoking = this.claims.revoke(key).catch(error => {
      failure = error
    })
    if (!isOrdered) await revoking
    const wasThere = await this.store.delete(key)
    await revoking
    if (failure !== undefined) throw failure
    return wasThere
  }

  /** Stores over what there is. Undefined `ttlS`: deletes. */
  private async put(
    key: string,
    { bytes, flags }: Pick<Encoded<unknown>, 'bytes' | 'flags'>,
    ttlS: number | undefined,
  ): Promise<void> {
    try {
      if (ttlS === undefined) return void (await this.remove(key))
      // A load in progress stores nothing over this value: its claim matters only if the value is
      // evicted or expires meanwhile.
      const revoked = this.claims.revoke(key).catch(error => this.settings.report(error, key))
      const stored = this.store.set(key, bytes, { ttlS, flags })
      const [isStored] = await Promise.all([stored, revoked])
      if (!isStored) throw notStored(key)
    } finally {
      this.flights.delete(key)
    }
  }
}

function isStale(item: Item<Buffer> | undefined, { staleS }: AsideSettings): boolean {
  return staleS > 0 && item?.ttlS !== undefined && item.ttlS <= staleS
}

/** The result, or the signal's reason once it is aborted. */
async function unlessAborted<T>(result: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([result, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function notStored(key: string): CacheError {
  return new CacheError('CONNECTION', `${key}: its server is away, nothing was stored`)
}
