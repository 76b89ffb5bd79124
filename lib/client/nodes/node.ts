// One server of a pool, in terms of its protocols: keys, bytes and flags, exptimes. The interface
// is narrow on purpose: meta-node.ts and memjs-node.ts implement it.
//
// Keys and numbers have been checked (cluster.ts): they are written into request lines unchanged.

import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { CacheError } from '../../doors/errors.ts'
import { isClaim } from '../../doors/stored.ts'
import type { Life } from './version.ts'

/** An item as a server has it. */
export interface Hit {
  value: Buffer
  /** Client flags, unsigned 32 bits. */
  flags: number
  /** Names this version of the item, within this life of the server. */
  cas: bigint
  life: Life
  /** Seconds until the item expires; -1: never; undefined: the driver memjs cannot tell. */
  ttlS: number | undefined
  /** It is claimed or was invalidated: a caller is to make its value. Without a value: a claim. */
  isPending?: boolean
}

/** Whether there is an item that is more than a claim. */
export function isValue(hit: Hit | undefined): hit is Hit {
  return hit !== undefined && !isClaim(hit.value.length, hit.flags, hit.isPending === true)
}

export interface ClaimRequest {
  /** Exptime of a claim where there is no item, at least 1. */
  claimS: number
  /** Exptime: an item that expires sooner may be claimed too; 0: none. */
  recacheS: number
}

/** An item or a claim, and whether this caller is to make the value. */
export interface Claim extends Hit {
  won: boolean
  isClaimed: boolean
  isStale: boolean
}

export type StoreMode = 'set' | 'add' | 'replace' | 'append' | 'prepend'
export type Stored = 'STORED' | 'NOT_STORED' | 'EXISTS' | 'NOT_FOUND'

export interface StoreRequest {
  mode: StoreMode
  key: string
  value: Buffer
  /** Unsigned 32 bits. */
  flags: number
  /** Whole seconds as in protocol.txt: 0 never, negative at once, above 30 days a Unix time. */
  exptime: number
  /** Only if the item still has this CAS; undefined: any. */
  cas: bigint | undefined
  /** .. and the server is still in this life: otherwise EXISTS. */
  life?: bigint | undefined
}

export interface Arithmetic {
  key: string
  /** From 0 to 2^64 - 1. */
  delta: bigint
  subtract: boolean
  /** The number for a missing item; undefined: then the answer is undefined. */
  initial: bigint | undefined
  /** Exptime of a number that is created. */
  exptime: number
}

/** Every call rejects with a CacheError at its deadline, if not sooner. */
export interface PoolNode {
  /** host:port, or the path of a UNIX socket. */
  readonly name: string
  /** Requests are carried out in the order of the calls. */
  readonly keepsOrder?: boolean
  /** With an exptime, the item gets it. */
  get(key: string, timeoutMs: number, exptime?: number): Promise<Hit | undefined>
  /** The hits among these keys. */
  getMany(keys: readonly string[], timeoutMs: number): Promise<Map<string, Hit>>
  store(request: StoreRequest, timeoutMs: number): Promise<Stored>
  /**
   * Whether there was such an item; EXISTS if its CAS is not `cas`, or the server is in another
   * life.
   */
  delete(key: string, timeoutMs: number, cas?: bigint, life?: bigint): Promise<boolean | 'EXISTS'>
  touch(key: string, exptime: number, timeoutMs: number): Promise<boolean>
  /** The item, or a claim in its place. Not every driver supports this. */
  lease?(key: string, request: ClaimRequest, timeoutMs: number): Promise<Claim>
  /** Keeps the value of this version, but the next lease wins it; whether it was that version. */
  expire?(key: string, cas: bigint, timeoutMs: number, life?: bigint): Promise<boolean>
  adjust(request: Arithmetic, timeoutMs: number): Promise<bigint | undefined>
  /** Expires all items, `delayS` from now. */
  flush(delayS: number, timeoutMs: number): Promise<void>
  version(timeoutMs: number): Promise<string>
  /** `stats NAME`, '' for the general ones. */
  stats(name: string, timeoutMs: number): Promise<Map<string, string>>
  /** Resolves if the server answers. */
  probe(timeoutMs: number): Promise<void>
  close(): void
}

/**
 * Whether every memcached takes this key: 1 to 250 bytes, no white space, no control characters, no
 * halves of surrogate pairs, which would all be sent as the same character.
 */
export function isPlainKey(key: string): boolean {
  const bytes = typeof key === 'string' ? Buffer.byteLength(key) : 0
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return bytes >= 1 && bytes <= KEY_BYTES_MAX && !/[\x00-\x20\x7f]/.test(key) && key.isWellFormed()
}

/** KEY unless it is a plain key. */
export function checkKey(key: string): void {
  if (isPlainKey(key)) return
  const words = `a key is text of 1 to ${KEY_BYTES_MAX} bytes without white space or control characters`
  throw new CacheError('KEY', words)
}
