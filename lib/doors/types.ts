// The interface of both doors to a cache: LocalCache returns results, ClusterClient returns
// promises of them, and the strategies await either. A method means the same on both.
//
//   Store<'sync'>     LocalCache
//   Store<'async'>    ClusterClient
//   Store             either of them, as strategies take it
//
// Keys are strings of 1 to 250 bytes. Values are strings, bytes, or anything that the serializer
// takes. Every argument is checked before anything is done; a CacheError names a wrong one.

export type How = 'sync' | 'async'

/** A result, or a promise of it: by the kind of Store, or either if that is unknown. */
export type Answer<T, H extends How> = Answers<T>[H]

interface Answers<T> {
  sync: T
  async: Promise<T>
}

export type Awaitable<T> = T | PromiseLike<T>

/** When an item expires. Neither: never. Both: CacheError ARGUMENT. */
export interface ExpiryOptions {
  /** Seconds from now, above 0, always relative; fractions are rounded up. Infinity: never. */
  ttlS?: number | undefined
  /**
   * When the item expires: a Date, or milliseconds as from `Date.now()`. An item whose time is past
   * expires at once.
   */
  expiresAt?: Date | number | undefined
}

export interface SetOptions extends ExpiryOptions {
  /**
   * Client flags of a string or of bytes, unsigned 32 bits. Default: the kind of value
   * (ValueFlags), by which `get` knows what to return. Bits 24 to 31 are the application's; with
   * bits 0 to 15 only `as: 'bytes'` reads it. Other values have the serializer's flags.
   */
  flags?: number | undefined
}

export interface ReadOptions {
  /** `value`, the default: the value as stored. `bytes`: a Buffer, whatever the flags are. */
  as?: 'value' | 'bytes' | undefined
}

export interface TouchingReadOptions extends ReadOptions, ExpiryOptions {}

export interface DeleteOptions {
  /** Delete only this version of the item. */
  cas?: bigint | undefined
}

export interface CountOptions extends ExpiryOptions {
  /** The number for a missing item, from 0 to 2^64 - 1. It expires by `ttlS` or `expiresAt`. */
  initial?: bigint | number | undefined
}

export interface LeaseOptions extends ReadOptions {
  /** How long a claim is kept, seconds above 0, at most 30 days; fractions are rounded up. */
  claimS: number
  /** An item that expires within this many seconds may be claimed too. Default 0: none. */
  recacheS?: number | undefined
}

export interface FlushOptions {
  /** Seconds from now until all items expire. Default 0. */
  delayS?: number | undefined
}

export interface Item<T = unknown> {
  /** The value, as `get` returns it. */
  value: T
  /** Client flags, unsigned 32 bits. */
  flags: number
  /** Names this version of the item. */
  cas: bigint
  /** Seconds until the item expires; Infinity: never; undefined: the driver memjs cannot tell. */
  ttlS: number | undefined
}

/** An item, or a claim in its place, and which caller is to make the value. */
export interface Lease<T = unknown> extends Omit<Item<T>, 'value'> {
  /** Undefined if there is only a claim. */
  value: T | undefined
  /** This caller is to make the value and store it with `cas`. Only one caller wins. */
  won: boolean
  /** Another caller is to make it. */
  isClaimed: boolean
  /** The value was invalidated by `expire`, and there is no new one yet. */
  isStale: boolean
}

export interface CasResult<T = unknown> {
  isStored: boolean
  /**
   * The current item if its version differs; undefined: there is none, or it was stored.
   */
  item: Item<T> | undefined
}

/** A cache: the methods that LocalCache and ClusterClient share. */
export interface Store<H extends How = How> {
  /** The value, or undefined. CacheError VALUE if it cannot be read back. */
  get<T = unknown>(key: string, options?: ReadOptions): Answer<T | undefined, H>
  /** The value with flags, version and TTL; or undefined. */
  getItem<T = unknown>(key: string, options?: ReadOptions): Answer<Item<T> | undefined, H>
  /** The values of the hits, by key. Values that cannot be read back are left out. */
  getMany<T = unknown>(keys: Iterable<string>, options?: ReadOptions): Answer<Map<string, T>, H>
  /** The items of the hits, by key. Items that cannot be read back are left out. */
  getManyItems<T = unknown>(
    keys: Iterable<string>,
    options?: ReadOptions,
  ): Answer<Map<string, Item<T>>, H>
  /** As `get`, and sets when the item expires. */
  getAndTouch<T = unknown>(key: string, options: TouchingReadOptions): Answer<T | undefined, H>
  /** Whether there is an item with a value. */
  has(key: string): Answer<boolean, H>
  /**
   * Stores a value. Returns true; what was not stored is an error. CacheError TOO_LARGE and
   * NO_MEMORY: the key then has no value.
   */
  set(key: string, value: unknown, options?: SetOptions): Answer<boolean, H>
  /** Stores if there is no item. Returns whether it stored. A claim counts as an item. */
  add(key: string, value: unknown, options?: SetOptions): Answer<boolean, H>
  /** Stores if there is an item. Returns whether it stored. */
  replace(key: string, value: unknown, options?: SetOptions): Answer<boolean, H>
  /** Appends text or bytes to the value. Returns whether there was one. Flags and expiry stay. */
  append(key: string, value: string | Uint8Array): Answer<boolean, H>
  /** Prepends text or bytes to the value. Returns whether there was one. Flags and expiry stay. */
  prepend(key: string, value: string | Uint8Array): Answer<boolean, H>
  /** Stores if the item still has this version. Returns whether it stored. */
  cas(key: string, value: unknown, cas: bigint, options?: SetOptions): Answer<boolean, H>
  /** As `cas`; if it did not store, it also returns the current item, for another try. */
  casItem<T = unknown>(
    key: string,
    value: unknown,
    cas: bigint,
    options?: SetOptions,
  ): Answer<CasResult<T>, H>
  /** Deletes the item. Returns whether there was one. */
  delete(key: string, options?: DeleteOptions): Answer<boolean, H>
  /** Sets when the item expires. Returns whether there is one. */
  touch(key: string, options: ExpiryOptions): Answer<boolean, H>
  /**
   * Adds to a decimal number of 64 bits, wrapping. Undefined if there is none and no `initial`.
   */
  incr(key: string, delta?: bigint | number, options?: CountOptions): Answer<bigint | undefined, H>
  /** Subtracts, down to 0. Otherwise as `incr`. */
  decr(key: string, delta?: bigint | number, options?: CountOptions): Answer<bigint | undefined, H>
  /**
   * The item, or a claim in its place, so that exactly one caller makes the value. Undefined if
   * claims are not possible: the servers are away and keys miss, or the driver has no claims.
   */
  lease<T = unknown>(key: string, options: LeaseOptions): Answer<Lease<T> | undefined, H>
  /** Marks this version as stale: the next `lease` wins it. Returns whether it was this version. */
  expire(key: string, cas: bigint): Answer<boolean, H>
  /**
   * The keys that are stored: a list as of many moments. A key that is stored or deleted meanwhile
   * comes once, more often or not at all.
   */
  keys(): Iterable<string> | AsyncIterable<string>
  /** Expires all items. */
  flush(options?: FlushOptions): Answer<void, H>
  /** Stops timers and closes connections. */
  close(): void
}
