// What both doors to a cache promise: LocalCache answers at once, ClusterClient with promises, and
// the strategies await either. One name has one meaning, whichever door it is called on.
//
//   Store<'sync'>     LocalCache
//   Store<'async'>    ClusterClient
//   Store             either of them: what a strategy asks for
//
// Keys are strings of 1 to 250 bytes. Values are strings, bytes, or what the serializer takes.
// Every argument is checked before anything is done; CacheError says which one is wrong.

export type How = 'sync' | 'async'

/** An answer as a door gives it; where it is not known which door, either form. */
export type Answer<T, H extends How> = Answers<T>[H]

interface Answers<T> {
  sync: T
  async: Promise<T>
}

export type Awaitable<T> = T | PromiseLike<T>

/** When an item expires. Neither: never. Both: CacheError ARGUMENT. */
export interface ExpiryOptions {
  /** Seconds from now, above 0, always relative; parts are rounded up. Infinity: never. */
  ttlS?: number | undefined
  /**
   * When the item expires: a Date, or milliseconds as `Date.now()` counts them. An item whose time
   * is past expires at once.
   */
  expiresAt?: Date | number | undefined
}

export interface SetOptions extends ExpiryOptions {
  /**
   * Client flags that are stored with a string or with bytes, unsigned 32 bits. Default: the kind
   * of value (ValueFlags), which tells `get` what to give. Other values have the serializer's
   * flags.
   */
  flags?: number | undefined
}

export interface ReadOptions {
  /** `value`, the default: what was stored. `bytes`: a Buffer, whatever the flags say. */
  as?: 'value' | 'bytes' | undefined
}

export interface TouchingReadOptions extends ReadOptions, ExpiryOptions {}

export interface DeleteOptions {
  /** Delete only this version of the item. */
  cas?: bigint | undefined
}

export interface CountOptions extends ExpiryOptions {
  /** What the number is where there is none, from 0 to 2^64 - 1. It expires as `ttlS` says. */
  initial?: bigint | number | undefined
}

export interface LeaseOptions extends ReadOptions {
  /** How long a claim is kept, seconds above 0, at most 30 days; parts are rounded up. */
  claimS: number
  /** An item that expires within this many seconds may be claimed too. Default 0: none. */
  recacheS?: number | undefined
}

export interface FlushOptions {
  /** Seconds until all items expire. Default 0: now. */
  delayS?: number | undefined
}

export interface Item<T = unknown> {
  /** What was stored, as `get` gives it. */
  value: T
  /** Client flags, unsigned 32 bits. */
  flags: number
  /** Names this version of the item. */
  cas: bigint
  /** Seconds until the item expires; Infinity: never; undefined: the driver memjs cannot tell. */
  ttlS: number | undefined
}

/** An item, or a claim in its place, and who is to make the value. */
export interface Lease<T = unknown> extends Omit<Item<T>, 'value'> {
  /** Undefined where there is only a claim. */
  value: T | undefined
  /** This caller makes the value and stores it with `cas`; no other caller was told so. */
  won: boolean
  /** Another caller was told to make it. */
  isClaimed: boolean
  /** The value was invalidated by `expire`, and there is no new one yet. */
  isStale: boolean
}

export interface CasResult<T = unknown> {
  isStored: boolean
  /**
   * The item that is there instead of the version asked for; undefined: there is none, or stored.
   */
  item: Item<T> | undefined
}

/** A cache, as both doors offer it. */
export interface Store<H extends How = How> {
  /** What was stored, or undefined. CacheError VALUE for what cannot be read back. */
  get<T = unknown>(key: string, options?: ReadOptions): Answer<T | undefined, H>
  /** What was stored, with flags, version and time left; or undefined. */
  getItem<T = unknown>(key: string, options?: ReadOptions): Answer<Item<T> | undefined, H>
  /** The values that are there, by key. What cannot be read back is left out. */
  getMany<T = unknown>(keys: Iterable<string>, options?: ReadOptions): Answer<Map<string, T>, H>
  /** The items that are there, by key. What cannot be read back is left out. */
  getManyItems<T = unknown>(
    keys: Iterable<string>,
    options?: ReadOptions,
  ): Answer<Map<string, Item<T>>, H>
  /** As `get`, and the item expires as the options say from now on. */
  getAndTouch<T = unknown>(key: string, options: TouchingReadOptions): Answer<T | undefined, H>
  /** Whether there is an item with a value. */
  has(key: string): Answer<boolean, H>
  /**
   * Stores a value; whether it did. False only where the servers of the key are away and the pool
   * answers misses. CacheError TOO_LARGE and NO_MEMORY: the key then has no value.
   */
  set(key: string, value: unknown, options?: SetOptions): Answer<boolean, H>
  /** Stores if there is no item; whether it did. A claim is an item. */
  add(key: string, value: unknown, options?: SetOptions): Answer<boolean, H>
  /** Stores if there is an item; whether it did. */
  replace(key: string, value: unknown, options?: SetOptions): Answer<boolean, H>
  /** Puts text or bytes behind the value; whether there was one. Flags and expiry stay. */
  append(key: string, value: string | Uint8Array): Answer<boolean, H>
  /** Puts text or bytes before the value; whether there was one. Flags and expiry stay. */
  prepend(key: string, value: string | Uint8Array): Answer<boolean, H>
  /** Stores if the item is still this version; whether it did. */
  cas(key: string, value: unknown, cas: bigint, options?: SetOptions): Answer<boolean, H>
  /** As `cas`; if it did not store, the item that is there now, for another try. */
  casItem<T = unknown>(
    key: string,
    value: unknown,
    cas: bigint,
    options?: SetOptions,
  ): Answer<CasResult<T>, H>
  /** Deletes the item; whether there was one. */
  delete(key: string, options?: DeleteOptions): Answer<boolean, H>
  /** The item expires as the options say from now on; whether there is one. */
  touch(key: string, options: ExpiryOptions): Answer<boolean, H>
  /**
   * Adds to a decimal number of 64 bits, wrapping; undefined where there is none and no `initial`.
   */
  incr(key: string, delta?: bigint | number, options?: CountOptions): Answer<bigint | undefined, H>
  /** Subtracts, down to 0. Otherwise as `incr`. */
  decr(key: string, delta?: bigint | number, options?: CountOptions): Answer<bigint | undefined, H>
  /**
   * The item, or a claim in its place, so that one caller of all makes the value. Undefined where
   * no claim can be had: the servers are away and keys miss, or the driver knows no claims.
   */
  lease<T = unknown>(key: string, options: LeaseOptions): Answer<Lease<T> | undefined, H>
  /** Keeps the value of this version, but the next `lease` wins it; whether it was this version. */
  expire(key: string, cas: bigint): Answer<boolean, H>
  /** Expires all items. */
  flush(options?: FlushOptions): Answer<void, H>
  /** Ends timers and connections. */
  close(): void
}
