// A storage adapter for Keyv 5 and 6, also as cache-manager 7 and cacheable 2 use it.
//
//   const keyv = new Keyv({ store: new KeyvStore(cache), namespace: 'users' })
//   await keyv.set('7', user, 60_000)
//
// A namespace is a tag: `clear` gives it a new version. That costs one request, however many items
// the namespace has, and changes nothing else in the cache. Each call first looks the version up.
// In the cache items expire up to two seconds late, never early; Keyv hides expired ones to the
// millisecond.
//
//   in the cache   KEY@VERSION       spaces and control characters of KEY percent-encoded
//
// Keyv 5 says how long an item lives and Keyv 6 when it expires, both in milliseconds. A number
// below 1e12 is a time to live of less than 31 years, one above is a time after 2001.

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
  /** Keyv 6: Unix time, ms. */
  expires?: number | undefined
  /** Keyv 5: time to live, ms. */
  ttl?: number | undefined
}

/** Times below are times to live, ms. */
const TIME_MS_MIN = 1e12

/** A cache counts whole seconds: an item of one second may be gone after a tenth of one. */
const WHOLE_S_MS = 1000

/** Values that are read at once by an iterator. */
const ITERATOR_BATCH_KEYS = 256

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
  'iterator',
] as const
const AS_BYTES = { as: 'bytes' } as const
const PRESENT = { exists: true, methodType: 'async' } as const
const ABSENT = { exists: false, methodType: 'none' } as const
const CAPABILITIES = {
  compatible: true,
  store: 'keyvStorage' as const,
  expires: true,
  methods: {
    ...(Object.fromEntries(METHODS.map(name => [name, PRESENT])) as Record<
      (typeof METHODS)[number],
      typeof PRESENT
    >),
    disconnect: ABSENT,
  },
}

export class KeyvStore extends EventEmitter {
  /** Set by Keyv. */
  namespace: string | undefined
  /** Keyv 5 reads the options of a store, Keyv 6 its capabilities. */
  private isKeyv5 = false
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

  /** `expires: true`: times are absolute, as in Keyv 6. */
  get capabilities() {
    this.isKeyv5 = false
    return CAPABILITIES
  }

  /** Read by Keyv 5 alone. */
  get opts(): undefined {
    this.isKeyv5 = true
    return undefined
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

  /**
   * `time`: when the item expires, Unix time in ms, or how long it lives, ms; undefined: never.
   * Returns whether it was stored.
   */
  async set(key: string, value: unknown, time?: number): Promise<boolean> {
    const [own] = await this.keysOf([key])
    return this.put(own, value, time)
  }

  async setMany<Value>(entries: KeyvEntry<Value>[]): Promise<boolean[]> {
    const own = await this.keysOf(entries.map(({ key }) => key))
    const puts = entries.map(({ value, expires, ttl }, i) => {
      return this.put(own[i], value, expires ?? ttl)
    })
    const done = await Promise.allSettled(puts)
    return done.map(put => put.status === 'fulfilled' && put.value)
  }

  async delete(key: string): Promise<boolean> {
    const [own] = await this.keysOf([key])
    return this.store.delete(own)
  }

  /** Keyv 6 wants to know of each key, Keyv 5 whether all were there. */
  async deleteMany(keys: string[]): Promise<boolean[]>
  async deleteMany(keys: string[]): Promise<boolean[] | boolean> {
    const own = await this.keysOf(keys)
    const done = await Promise.all(own.map(key => this.store.delete(key)))
    return this.isKeyv5 ? done.every(Boolean) : done
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

  /**
   * The items of the namespace, keys with values. Lists all keys of the cache. Items whose keys are
   * too long for a cache are left out. Keyv 5 has an iterator only for adapters that it knows by
   * name: call this one.
   */
  async *iterator<Value>(namespace = this.namespace): AsyncGenerator<[string, Value], void> {
    const suffix = await this.tags.key('', namespace ?? '')
    let keys: string[] = []
    for await (const key of this.store.keys()) {
      if (key.endsWith(suffix) && key.length > suffix.length) keys.push(key)
      if (keys.length < ITERATOR_BATCH_KEYS) continue
      yield* this.read<Value>(keys, suffix)
      keys = []
    }
    yield* this.read<Value>(keys, suffix)
  }

  private async *read<Value>(
    keys: readonly string[],
    suffix: string,
  ): AsyncGenerator<[string, Value], void> {
    for (const [key, { value, flags }] of await this.store.getManyItems<Buffer>(keys, AS_BYTES)) {
      const own = decodeURIComponent(key.slice(0, -suffix.length))
      yield [own, decode(value, flags, this.serializer) as Value]
    }
  }

  private async put(key: string, value: unknown, time: number | undefined): Promise<boolean> {
    const expiresAt = time === undefined || time >= TIME_MS_MIN ? time : Date.now() + time
    if (expiresAt !== undefined && expiresAt <= Date.now()) {
      await this.store.delete(key)
      return true
    }
    const { bytes, flags } = encode(value, this.serializer, undefined)
    const lateAt = expiresAt === undefined ? undefined : expiresAt + WHOLE_S_MS
    return this.store.set(key, bytes, { expiresAt: lateAt, flags })
  }

  /** The keys in the cache for these. */
  private async keysOf(keys: readonly string[]): Promise<string[]> {
    return this.tags.keys(keys.map(encodeKey), this.namespace ?? '')
  }
}

/** A key without spaces and control characters, which not every cache takes. */
function encodeKey(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return key.replace(/[\x00-\x20\x7f%]/g, encodeURIComponent)
}
