// A storage adapter for Keyv 6.
//
//   const keyv = new Keyv({ store: new KeyvStore(cache), namespace: 'users' })
//   await keyv.set('7', user, 60_000)
//
// A namespace is a tag: `clear` gives it a new version. That costs one request, however many items
// the namespace has, and changes nothing else in the cache. Each call first looks the version up.
// In the cache items expire up to two seconds late; Keyv hides expired ones to the millisecond.

import { EventEmitter } from 'node:events'
import { checkOptions, checkSerializer } from '../doors/arguments.ts'
import { decode, encode } from '../doors/stored.ts'
import type { Store } from '../doors/types.ts'
import { json, type Serializer } from '../serializer.ts'
import { Tags } from './tags.ts'

export interface KeyvStoreOptions {
  /**
   * For values that Keyv passes unchanged; usually it passes strings. Default JSON.
   */
  serializer?: Serializer | undefined
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
const AS_BYTES = { as: 'bytes' } as const
const PRESENT = { exists: true, methodType: 'async' } as const
const ABSENT = { exists: false, methodType: 'none' } as const

export class KeyvStore extends EventEmitter {
  /** Set by Keyv. */
  namespace: string | undefined
  /**
   * `expires: true`: times are absolute, as in Keyv 6. A cache cannot list keys: there is no
   * iterator.
   */
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
  private readonly serializer: Serializer
  private readonly tags: Tags

  /** CacheError ARGUMENT for wrong options. */
  constructor(store: Store, options: KeyvStoreOptions = {}) {
    super()
    checkOptions(options, ['serializer'])
    const { serializer = json } = options
    checkSerializer(serializer)
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
    const found = await this.store.getManyItems<Buffer>(own, AS_BYTES)
    return own.map(key => {
      const item = found.get(key)
      return item && (decode(item.value, item.flags, this.serializer) as Value)
    })
  }

  /** `expires`: Unix time, ms; undefined: never. */
  async set(key: string, value: unknown, expires?: number): Promise<boolean> {
    const [own] = await this.keysOf([key])
    return this.put(own, value, expires)
  }

  async setMany<Value>(entries: KeyvEntry<Value>[]): Promise<boolean[]> {
    const own = await this.keysOf(entries.map(({ key }) => key))
    const puts = entries.map(({ value, expires }, i) => this.put(own[i], value, expires))
    const done = await Promise.allSettled(puts)
    return done.map(put => put.status === 'fulfilled' && put.value)
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
    const found = await this.store.getMany(own, AS_BYTES)
    return own.map(key => found.has(key))
  }

  /** Expires all items of the namespace, or without one all items that have none. */
  async clear(): Promise<void> {
    await this.tags.invalidate(this.namespace ?? '')
  }

  private async put(key: string, value: unknown, expires: number | undefined): Promise<boolean> {
    if (expires !== undefined && expires <= Date.now()) {
      await this.store.delete(key)
      return true
    }
    const { bytes, flags } = encode(value, this.serializer, undefined)
    return this.store.set(key, bytes, { expiresAt: expires, flags })
  }

  /** The keys in the cache for these. */
  private async keysOf(keys: readonly string[]): Promise<string[]> {
    return this.tags.keys(keys, this.namespace ?? '')
  }
}
