/** A fake server in the test's memory, which can die, or receive requests without answering. */

import { setTimeout as sleep } from 'node:timers/promises'
import type {
  Arithmetic,
  Hit,
  PoolNode,
  Stored,
  StoreRequest,
} from '../../lib/client/nodes/node.ts'
import { Life } from '../../lib/client/nodes/version.ts'
import { CacheError } from '../../lib/doors/errors.ts'

/** `deaf`: requests are lost; `mute`: requests are executed, but replies are lost. */
export type FakeState = 'up' | 'deaf' | 'mute'

const TWO_64 = 2n ** 64n

export class FakeNode implements PoolNode {
  readonly name: string
  readonly items = new Map<string, Hit>()
  readonly life: Life
  state: FakeState = 'up'
  /** How long the next request and its reply are on their way together. */
  delay = () => 0
  private lastCas = 0n

  constructor(name: string) {
    this.name = name
    this.life = new Life(name, async () => new Map())
  }

  get(key: string, _ms: number, exptime?: number): Promise<Hit | undefined> {
    return this.answer(() => {
      const hit = this.items.get(key)
      if (hit !== undefined && exptime !== undefined)
        this.items.set(key, { ...hit, ...ttlOf(exptime) })
      return hit
    })
  }

  getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    return this.answer(() => {
      const pairs = keys.map(key => [key, this.items.get(key)] as const)
      return new Map(pairs.filter((pair): pair is [string, Hit] => pair[1] !== undefined))
    })
  }

  store(request: StoreRequest): Promise<Stored> {
    return this.answer(() => {
      const { mode, key, value, cas } = request
      const old = this.items.get(key)
      if (cas !== undefined && old?.cas !== cas) return old === undefined ? 'NOT_FOUND' : 'EXISTS'
      if (mode !== 'set' && (mode === 'add') === (old !== undefined)) return 'NOT_STORED'
      if (old === undefined || mode === 'set' || mode === 'replace') this.put(request)
      else {
        const parts = mode === 'append' ? [old.value, value] : [value, old.value]
        this.put({ ...request, ...old, exptime: old.ttlS ?? 0, value: Buffer.concat(parts) })
      }
      return 'STORED'
    })
  }

  delete(key: string, _ms: number, cas?: bigint): Promise<boolean | 'EXISTS'> {
    return this.answer(() => {
      const old = this.items.get(key)
      if (old !== undefined && cas !== undefined && old.cas !== cas) return 'EXISTS'
      return this.items.delete(key)
    })
  }

  touch(key: string, exptime: number): Promise<boolean> {
    return this.answer(() => {
      const old = this.items.get(key)
      if (old !== undefined) this.items.set(key, { ...old, ...ttlOf(exptime) })
      return old !== undefined
    })
  }

  adjust(request: Arithmetic): Promise<bigint | undefined> {
    return this.answer(() => {
      const { key, delta, subtract, initial } = request
      const old = this.items.get(key)
      if (old === undefined && initial === undefined) return undefined
      const now = BigInt(old?.value.toString() ?? 0)
      const less = now < delta ? 0n : now - delta
      const changed = subtract ? less : (now + delta) % TWO_64
      const number = old === undefined ? (initial ?? 0n) : changed
      const kept = { flags: old?.flags ?? 0, exptime: old?.ttlS ?? request.exptime }
      this.put({ ...kept, key, value: Buffer.from(String(number)) })
      return number
    })
  }

  flush(): Promise<void> {
    return this.answer(() => this.items.clear())
  }

  version(): Promise<string> {
    return this.answer(() => 'fake')
  }

  stats(): Promise<Map<string, string>> {
    return this.answer(() => new Map())
  }

  probe(): Promise<void> {
    return this.answer(() => {})
  }

  close(): void {}

  private put({
    key,
    value,
    flags,
    exptime,
  }: Pick<StoreRequest, 'key' | 'value' | 'flags' | 'exptime'>) {
    this.lastCas++
    const { life } = this
    this.items.set(key, { value, flags, ...ttlOf(exptime), cas: this.lastCas, life })
  }

  private async answer<T>(act: () => T): Promise<T> {
    const wayMs = this.delay() / 2
    if (wayMs > 0) await sleep(wayMs)
    const answer = this.state === 'deaf' ? undefined : act()
    // Replies take a turn of the event loop, as over a network.
    await (wayMs > 0 ? sleep(wayMs) : new Promise(resolve => setImmediate(resolve)))
    if (this.state !== 'up')
      throw new CacheError('TIMEOUT', 'no answer in time', { server: this.name })
    return answer as T
  }
}

function ttlOf(exptime: number): { ttlS: number } {
  return { ttlS: exptime === 0 ? -1 : exptime }
}
