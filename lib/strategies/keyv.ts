// A storage adapter for Keyv 6.
//
//   const keyv = new Keyv({ store: new KeyvStore(cache), namespace: 'users' })
//   await keyv.set('7', user, 60_000)
//
// A namespace is a tag: `clear` gives it a new version, which costs one request however many items it
// has, and touches nothing else in the cache. Each call looks the version up first. Items end a second
// or two late in the cache; Keyv hides those whose time is over, to the millisecond.

import { EventEmitter } from 'node:events'
import { decodeValue, encodeValue, type Serializer } from '../serializer.ts'
import { exptimeOf, type Store } from './store.ts'
import { Tags } from './tags.ts'

export interface KeyvStoreOptions {
  /** For values that Keyv hands over as they are; usually it makes strings of them. Default JSON. */
  serializer?: Serializer
}

export interface KeyvEntry<Value = unknown> {
  key: string
  value: Value
  /** Unix time, ms. */
  expires?: number | undefined
}

const METHODS = [
  'get',
  'getMany',
  'has',
  'hasMany',
  'set',
  'setMany',
  'delete',
  'deleteMany',
  'clear',
] as const
const PRESENT = { exists: true, methodType: 'async' } as const
const ABSENT = { exists: false, methodType: 'none' } as const

export class KeyvStore extends EventEmitter {
  /** Set by Keyv. */
  namespace: string | undefined
  /** `expires: true`: ends are absolute, as in Keyv 6. A cache lists nothing, so there is no iterator. */
  readonly capabilities = {
    compatible: true,
    store: 'keyvStorage' as const,
    expires: true,
    methods: {
      ...(Object.fromEntries(METHODS.map(name => [name, PRESENT])) as Record<
        (typeof METHODS)[number],
        typeof PRESENT
      >),
      disconnect: ABSENT,
      iterator: ABSENT,
    },
  }
  private readonly store: Store
  private readonly serializer: Serializer | undefined
  private readonly tags: Tags

  constructor(store: Store, { serializer }: KeyvStoreOptions = {}) {
    super()
    this.store = store
    this.serializer = serializer
    this.tags = new Tags(store, { prefix: 'keyv:' })
  }

  async get<Value>(key: string): Promise<Value | undefined> {
    const [value] = await this.getMany<Value>([key])
    return value
  }

  async getMany<Value>(keys: string[]): Promise<(Value | undefined)[]> {
    const own = await this.keysOf(keys)
    const found = await this.store.getMany(own)
    return own.map(key => {
      const item = found.get(key)
      if (item === undefined) return undefined
      return decodeValue(item.value, item.flags, this.serializer) as Value
    })
  }

  /** `expires`: Unix time, ms; undefined: never. */
  async set(key: string, value: unknown, expires?: number): Promise<boolean> {
    const [own] = await this.keysOf([key])
    await this.put(own, value, expires)
    return true
  }

  async setMany<Value>(entries: KeyvEntry<Value>[]): Promise<boolean[]> {
    const own = await this.keysOf(entries.map(({ key }) => key))
    const puts = entries.map(({ value, expires }, i) => this.put(own[i], value, expires))
    const done = await Promise.allSettled(puts)
    return done.map(({ status }) => status === 'fulfilled')
  }

  async delete(key: string): Promise<boolean> {
    const [own] = await this.keysOf([key])
    return this.store.delete(own)
  }

  async deleteMany(keys: string[]): Promise<boolean[]> {
    const own = await this.keysOf(keys)
    return Promise.all(own.map(key => this.store.delete(key)))
  }

  async has(key: string): Promise<boolean> {
    const [found] = await this.hasMany([key])
    return found
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    const own = await this.keysOf(keys)
    const found = await this.store.getMany(own)
    return own.map(key => found.has(key))
  }

  /** Ends all items of the namespace, or all without one. */
  async clear(): Promise<void> {
    await this.tags.invalidate(this.namespace ?? '')
  }

  private async put(key: string, value: unknown, expires: number | undefined): Promise<void> {
    const leftMs = expires === undefined ? Number.POSITIVE_INFINITY : expires - Date.now()
    if (leftMs <= 0) {
      await this.store.delete(key)
      return
    }
    const { bytes, flags } = encodeValue(value, this.serializer)
    await this.store.set(key, bytes, { ttlS: exptimeOf(leftMs / 1000), flags })
  }

  /** The keys that the cache has for these. */
  private async keysOf(keys: readonly string[]): Promise<string[]> {
    return this.tags.keys(keys, this.namespace ?? '')
  }
}
