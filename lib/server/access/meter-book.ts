// Who has which meter (access/meters.ts). Only the main thread gives them: to users and signers
// when the file is read, to addresses when somebody comes. A meter of an address goes to another
// one when no connection counts for it any more.

import { type Limits, NO_LIMITS } from '../../access/acl.ts'
import { Meters, NO_METER } from '../../access/meters.ts'

export class MeterBook {
  readonly meters: Meters
  private readonly free: number[]
  /** Of users and signers, by `user NAME` and `token NAME`. */
  private readonly named = new Map<string, number>()
  /** Of those that the file has no more, while connections count for them. */
  private retired: number[] = []
  /** Of addresses by their origin, the one seen longest ago first. */
  private readonly origins = new Map<string, { meter: number; address: string }>()

  constructor(count: number) {
    this.meters = Meters.create(count)
    this.free = Array.from({ length: count }, (_, i) => count - 1 - i)
  }

  /** Gives meters to these names, and takes them from all others. False: there are too few. */
  setNamed(limits: ReadonlyMap<string, Limits>): boolean {
    for (const [name, meter] of this.named) {
      if (limits.has(name)) continue
      this.named.delete(name)
      this.meters.limit(meter, NO_LIMITS)
      this.retired.push(meter)
    }
    for (const [name, wanted] of limits) {
      const meter = this.named.get(name) ?? this.take()
      if (meter === NO_METER) return false
      this.named.set(name, meter)
      this.meters.limit(meter, wanted)
    }
    return true
  }

  /** The meters of names. */
  byName(): Record<string, number> {
    return Object.fromEntries(this.named)
  }

  /** The meter of an origin, with these limits; NO_METER: none is free. */
  ofOrigin(origin: string, address: string, limits: Limits): number {
    const meter = this.origins.get(origin)?.meter ?? this.take()
    if (meter === NO_METER) return NO_METER
    this.origins.delete(origin)
    this.origins.set(origin, { meter, address })
    this.meters.limit(meter, limits)
    return meter
  }

  /** Gives new limits to all origins. */
  limitOrigins(limitsOf: (address: string) => Limits): void {
    for (const { meter, address } of this.origins.values()) {
      this.meters.limit(meter, limitsOf(address))
    }
  }

  private take(): number {
    const meter = this.free.pop() ?? this.takeRetired() ?? this.takeIdle()
    if (meter === undefined) return NO_METER
    this.meters.clear(meter)
    return meter
  }

  private takeRetired(): number | undefined {
    const idle = this.retired.find(meter => this.isIdle(meter))
    this.retired = this.retired.filter(meter => meter !== idle)
    return idle
  }

  private takeIdle(): number | undefined {
    for (const [origin, { meter }] of this.origins) {
      if (!this.isIdle(meter)) continue
      this.origins.delete(origin)
      return meter
    }
    return undefined
  }

  private isIdle(meter: number): boolean {
    return this.meters.connectionsOf(meter) === 0
  }
}
