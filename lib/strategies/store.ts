// What a strategy asks of a cache. Both doors satisfy it as they are: LocalCache at once, ClusterClient
// with promises; a strategy awaits either. The names and their meaning are those of the doors.

import { createHash } from 'node:crypto'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'

export type Awaitable<T> = T | PromiseLike<T>

export interface Item {
  value: Buffer
  /** Client flags, unsigned 32 bits. */
  flags: number
  /** Names this version of the item. */
  cas: bigint
}

/** An item, and whose task it is to make its value. */
export interface Claim extends Item {
  /** This caller's. Without a value the item is empty. */
  won: boolean
  /** Somebody else was told before. */
  isClaimed: boolean
  /** The value was invalidated. */
  isStale: boolean
}

export interface WriteOptions {
  /** Seconds; above 30 days an absolute Unix time; 0, the default: for ever. */
  ttlS?: number
  flags?: number
}

export type Outcome = boolean | 'STORED' | 'NOT_STORED' | 'EXISTS' | 'NOT_FOUND'

export interface Store {
  gets(key: string): Awaitable<Item | undefined>
  getMany(keys: readonly string[]): Awaitable<Map<string, Item>>
  set(key: string, value: Buffer, options?: WriteOptions): Awaitable<unknown>
  add(key: string, value: Buffer, options?: WriteOptions): Awaitable<Outcome>
  cas(key: string, value: Buffer, cas: bigint, options?: WriteOptions): Awaitable<Outcome>
  delete(key: string, cas?: bigint): Awaitable<boolean>
  touch(key: string, ttlS: number): Awaitable<boolean>
  /** The item, or a claim in its place; undefined where no claims are to be had. */
  lease(key: string, options: { claimS: number; recacheS?: number }): Awaitable<Claim | undefined>
  /** Keeps the value of this version, but the next lease wins it. */
  expire(key: string, cas: bigint): Awaitable<boolean>
}

/** Longer than this is an absolute time to a cache, seconds (protocol.txt: 30 days). */
const RELATIVE_S_MAX = 60 * 60 * 24 * 30

export function isStored(outcome: Outcome): boolean {
  return outcome === true || outcome === 'STORED'
}

/**
 * Seconds from now as a cache wants them: whole, at least 1; 0 for Infinity. RangeError for what is no
 * time to come.
 */
export function exptimeOf(ttlS: number): number {
  if (!(ttlS > 0)) throw new RangeError(`seconds to live are more than 0, not ${ttlS}`)
  if (ttlS === Number.POSITIVE_INFINITY) return 0
  const wholeS = Math.ceil(ttlS)
  return wholeS <= RELATIVE_S_MAX ? wholeS : Math.ceil(Date.now() / 1000) + wholeS
}

/** The key itself if every cache takes it, else a digest in its place. */
export function fitKey(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const fits = Buffer.byteLength(key) <= KEY_BYTES_MAX && key !== '' && !/[\x00-\x20\x7f]/.test(key)
  return fits ? key : `sha256-${createHash('sha256').update(key).digest('base64url')}`
}
