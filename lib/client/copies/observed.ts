// Tells the channel of calls what every call on keys came to. Without a subscriber the call goes
// through as it is.

import { POOL_CALLS, type PoolCall } from '../../doors/channels.ts'
import {
  type Arithmetic,
  type Claim,
  type ClaimRequest,
  type Hit,
  isValue,
  type Stored,
  type StoreRequest,
} from '../nodes/node.ts'
import type { Keyed } from './keyed.ts'

type Outcome = Pick<PoolCall, 'outcome' | 'hits'>

export class Observed implements Keyed {
  private readonly keyed: Keyed

  constructor(keyed: Keyed) {
    this.keyed = keyed
  }

  get(key: string, exptime?: number): Promise<Hit | undefined> {
    const answer = this.keyed.get(key, exptime)
    return POOL_CALLS.hasSubscribers ? tell('get', 1, answer, readOf) : answer
  }

  getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    const answer = this.keyed.getMany(keys)
    return POOL_CALLS.hasSubscribers ? tell('getMany', keys.length, answer, manyOf) : answer
  }

  store(request: StoreRequest): Promise<Stored> {
    const answer = this.keyed.store(request)
    const isStored = (stored: Stored) => doneOf(stored === 'STORED')
    return POOL_CALLS.hasSubscribers ? tell('store', 1, answer, isStored) : answer
  }

  delete(key: string, cas?: bigint): Promise<boolean> {
    const answer = this.keyed.delete(key, cas)
    return POOL_CALLS.hasSubscribers ? tell('delete', 1, answer, doneOf) : answer
  }

  touch(key: string, exptime: number): Promise<boolean> {
    const answer = this.keyed.touch(key, exptime)
    return POOL_CALLS.hasSubscribers ? tell('touch', 1, answer, doneOf) : answer
  }

  adjust(request: Arithmetic): Promise<bigint | undefined> {
    const answer = this.keyed.adjust(request)
    const isDone = (number: bigint | undefined) => doneOf(number !== undefined)
    return POOL_CALLS.hasSubscribers ? tell('adjust', 1, answer, isDone) : answer
  }

  lease(key: string, request: ClaimRequest): Promise<Claim | undefined> {
    const answer = this.keyed.lease(key, request)
    return POOL_CALLS.hasSubscribers ? tell('lease', 1, answer, leaseOf) : answer
  }

  expire(key: string, cas: bigint): Promise<boolean> {
    const answer = this.keyed.expire(key, cas)
    return POOL_CALLS.hasSubscribers ? tell('expire', 1, answer, doneOf) : answer
  }

  keepsOrder(key: string, other: string): boolean {
    return this.keyed.keepsOrder?.(key, other) ?? false
  }
}

async function tell<T>(
  call: string,
  keys: number,
  answer: Promise<T>,
  outcomeOf: (answer: T) => Outcome,
): Promise<T> {
  const beganMs = performance.now()
  const publish = (outcome: Outcome, error: unknown) => {
    const message: PoolCall = { call, keys, ...outcome, ms: performance.now() - beganMs, error }
    POOL_CALLS.publish(message)
  }
  try {
    const answered = await answer
    publish(outcomeOf(answered), undefined)
    return answered
  } catch (error) {
    publish({ outcome: 'error', hits: 0 }, error)
    throw error
  }
}

function readOf(hit: Hit | undefined): Outcome {
  return isValue(hit) ? { outcome: 'hit', hits: 1 } : { outcome: 'miss', hits: 0 }
}

function leaseOf(claim: Claim | undefined): Outcome {
  const isPending = claim !== undefined && (claim.won || claim.isClaimed || claim.isStale)
  return readOf(claim && { ...claim, isPending })
}

/** A hit if there is any value. */
function manyOf(found: Map<string, Hit>): Outcome {
  let hits = 0
  for (const hit of found.values()) if (isValue(hit)) hits++
  return { outcome: hits > 0 ? 'hit' : 'miss', hits }
}

function doneOf(isDone: boolean): Outcome {
  return { outcome: isDone ? 'done' : 'refused', hits: 0 }
}
