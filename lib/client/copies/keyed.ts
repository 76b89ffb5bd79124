// What is asked of a pool about keys, in the words of its nodes: bytes and flags. Two answer it,
// one that keeps a value on one server (one-copy.ts) and one that keeps it on several (copies.ts).

import type { Members } from '../members/members.ts'
import type { Arithmetic, Claim, ClaimRequest, Hit, Stored, StoreRequest } from '../nodes/node.ts'

/** Every call is answered or rejected by the deadline of the pool. Keys are checked. */
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
}

export interface KeyedOptions {
  members: Members
  /** The longest that a call waits for its answer, ms. */
  timeoutMs: number
  /** How often what changes nothing is asked again. */
  retries: number
  /** Whether keys of a server that is away miss, or fall to the next. */
  isMissing: boolean
  /** Settles when it is known which servers there are; undefined: it is. */
  known(): Promise<void> | undefined
}
