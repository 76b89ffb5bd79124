/** A fake server whose answers to reads come when, and as, the test says. */

import type { Hit } from '../../lib/client/nodes/node.ts'
import { CacheError } from '../../lib/doors/errors.ts'
import { FakeNode } from './fake-node.ts'

/** What a read comes to: no connection, or the server refuses it. */
export type Outcome = 'hit' | 'miss' | 'away' | 'refused'

export class HeldNode extends FakeNode {
  /** Whether reads are held. */
  isHolding = true
  /** Reads that were asked here, ever. */
  asked = 0
  private held: ((outcome: Outcome) => void)[] = []

  get heldCount(): number {
    return this.held.length
  }

  override get(key: string, ms: number, exptime?: number): Promise<Hit | undefined> {
    this.asked++
    if (!this.isHolding) return super.get(key, ms, exptime)
    return this.hold(() => this.hitOf(key), undefined)
  }

  override getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    this.asked++
    if (!this.isHolding) return super.getMany(keys)
    const all = () => new Map(keys.map(key => [key, this.hitOf(key)]))
    return this.hold(all, new Map<string, Hit>())
  }

  /** Answers all reads that are held. */
  release(outcome: Outcome): void {
    const { held } = this
    this.held = []
    for (const settle of held) settle(outcome)
  }

  private hold<T>(hit: () => T, miss: T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.held.push(outcome => {
        if (outcome === 'hit') resolve(hit())
        else if (outcome === 'miss') resolve(miss)
        else reject(this.errorOf(outcome))
      })
    })
  }

  private errorOf(outcome: 'away' | 'refused'): CacheError {
    const code = outcome === 'away' ? 'CONNECTION' : 'SERVER'
    return new CacheError(code, outcome, { server: this.name })
  }

  /** Says which server it is from. */
  private hitOf(key: string): Hit {
    const { name, life } = this
    return this.items.get(key) ?? { value: Buffer.from(name), flags: 0, cas: 1n, life, ttlS: -1 }
  }
}
