// Operations of a pool on keys, in terms of its nodes: bytes and flags. There are two
// implementations: one keeps a value on one server (one-copy.ts), the other on several (copies.ts).

import type { Members } from '../members/members.ts'
import type { Arithmetic, Claim, ClaimRequest, Hit, Stored, StoreRequest } from '../nodes/node.ts'

/**
 * Every call settles by the pool's deadline. Keys have been checked. Versions are those of
 * nodes/version.ts, also in `cas` of a request.
 */
export interface Keyed {
  /** With an exptime, the item gets it. */
  get(key: string, exptime?: number): Promise<Hit | undefined>
  getMany(keys: readonly string[]): Promise<Map<string, Hit>>
  store(request: StoreRequest): Promise<Stored>
  delete(key: string, cas?: bigint): Promise<boolean>
  touch(key: string, exptime: number): Promise<boolean>
  adjust(request: Arithmetic): Promise<bigint | undefined>
  lease(key: string, request: ClaimRequest): Promise<Claim | undefined>
  expire(key: string, cas: bigint): Promise<boolean>
  /** As doors/order.ts says. Undefined: never. */
  keepsOrder?(key: string, other: string): boolean
}

export interface KeyedOptions {
  members: Members
  /** The longest that a call waits for its answer, ms. */
  timeoutMs: number
  /** Retries of requests that change nothing. */
  retries: number
  /** Whether keys of a server that is away miss, or go to the next server. */
  isMissing: boolean
  /** Most changes remembered for a server that misses them. Default 65,536. */
  journalKeysMax?: number
  /** Ends the work in the background. */
  signal: AbortSignal
  /** Settles when the servers are known; undefined: they are. */
  known(): Promise<void> | undefined
}
