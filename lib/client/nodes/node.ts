// One server of a pool as a client sees it: what may be asked of it. A narrow interface on purpose, so
// that more than one way to the server can stand behind it: meta-node.ts and memjs-node.ts.

import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { ClientError } from '../errors.ts'

/** An item as a server has it. */
export interface Hit {
  value: Buffer
  /** Client flags, unsigned 32 bits. */
  flags: number
  /** Names this version of the item, for `cas`. */
  cas: bigint
  /** Seconds that the item still has; -1: for ever; undefined: the driver memjs cannot tell. */
  ttlS: number | undefined
  /** It was claimed or invalidated: its value is about to be made anew. */
  isPending?: boolean
}

export interface LeaseOptions {
  /** How long a claim lasts on a key that has no item, whole seconds, at least 1. */
  claimS: number
  /** An item that ends within so many seconds may be claimed too. Default 0: none. */
  recacheS?: number
}

/** An item, and whose task it is to make its value. */
export interface Lease extends Hit {
  /** This caller's: it alone was told so. `cas` names the claim; without a value the item is empty. */
  won: boolean
  /** Somebody else was told before. */
  isClaimed: boolean
  /** The value was invalidated, and nobody has made a new one. */
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
  /** Seconds, as in protocol.txt; above 30 days an absolute Unix time; 0: for ever. */
  ttlS: number
  /** Only if the item is still this version; undefined: whichever it is. */
  cas: bigint | undefined
}

export interface Arithmetic {
  key: string
  /** From 0 to 2^64 - 1. */
  delta: bigint
  subtract: boolean
  /** What the number is where there is none; undefined: then there is no answer. */
  initial: bigint | undefined
  /** Of a number made so. */
  ttlS: number
}

/** Every call rejects with a ClientError at its deadline, if not sooner. */
export interface PoolNode {
  /** host:port, or the path of a UNIX socket. */
  readonly name: string
  /** Gives the item `ttlS` from now where that is not undefined. */
  get(key: string, timeoutMs: number, ttlS?: number): Promise<Hit | undefined>
  /** The hits among these keys. */
  getMany(keys: readonly string[], timeoutMs: number): Promise<Map<string, Hit>>
  store(request: StoreRequest, timeoutMs: number): Promise<Stored>
  /** Whether there was such an item; EXISTS if it is another version than `cas`. */
  delete(key: string, timeoutMs: number, cas?: bigint): Promise<boolean | 'EXISTS'>
  touch(key: string, ttlS: number, timeoutMs: number): Promise<boolean>
  /** The item; a claim in its place where there is none. Not every way to a server can ask this. */
  lease?(key: string, options: LeaseOptions, timeoutMs: number): Promise<Lease>
  /** Keeps the value of this version, but the next lease wins it; whether it was that version. */
  expire?(key: string, cas: bigint, timeoutMs: number): Promise<boolean>
  adjust(request: Arithmetic, timeoutMs: number): Promise<bigint | undefined>
  /** Ends all items, `delayS` from now. */
  flush(delayS: number, timeoutMs: number): Promise<void>
  version(timeoutMs: number): Promise<string>
  /** `stats NAME`, '' for the general ones. */
  stats(name: string, timeoutMs: number): Promise<Map<string, string>>
  /** Resolves if the server answers. */
  probe(timeoutMs: number): Promise<void>
  close(): void
}

/** KEY unless every memcached takes this key: 1 to 250 bytes, no white space, no control characters. */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const isPlain = bytes >= 1 && bytes <= KEY_BYTES_MAX && !/[\x00-\x20\x7f]/.test(key)
  // Halves of surrogate pairs would all be sent as one and the same character.
  if (isPlain && key.isWellFormed()) return
  const words = `a key has 1 to ${KEY_BYTES_MAX} bytes and no white space or control characters`
  throw new ClientError('KEY', words)
}
