// Tells hedging which keys are being changed: see hedge.ts. Reads go through as they are.

import type { Arithmetic, Claim, ClaimRequest, Hit, Stored, StoreRequest } from '../nodes/node.ts'
import type { Hedge } from './hedge.ts'
import type { Keyed } from './keyed.ts'

export class Hedged implements Keyed {
  private readonly keyed: Keyed
  private readonly hedge: Hedge

  constructor(keyed: Keyed, hedge: Hedge) {
    this.keyed = keyed
    this.hedge = hedge
  }

  get(key: string, exptime?: number): Promise<Hit | undefined> {
    const answer = this.keyed.get(key, exptime)
    return exptime === undefined ? answer : this.hedge.during(key, answer)
  }

  getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    return this.keyed.getMany(keys)
  }

  store(request: StoreRequest): Promise<Stored> {
    return this.hedge.during(request.key, this.keyed.store(request))
  }

  delete(key: string, cas?: bigint): Promise<boolean> {
    return this.hedge.during(key, this.keyed.delete(key, cas))
  }

  touch(key: string, exptime: number): Promise<boolean> {
    return this.hedge.during(key, this.keyed.touch(key, exptime))
  }

  adjust(request: Arithmetic): Promise<bigint | undefined> {
    return this.hedge.during(request.key, this.keyed.adjust(request))
  }

  lease(key: string, request: ClaimRequest): Promise<Claim | undefined> {
    return this.hedge.during(key, this.keyed.lease(key, request))
  }

  expire(key: string, cas: bigint): Promise<boolean> {
    return this.hedge.during(key, this.keyed.expire(key, cas))
  }
}
