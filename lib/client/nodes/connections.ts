// The connections to one server: up to a maximum, opened as they are needed. A request takes the
// one with the fewest requests waiting, so that a small get need not wait behind a long value.
//
// Requests on one connection are executed in the order of calls, those on two are not. So while a
// change of a key is under way, all requests for that key take its connection.

import { loopClock } from '../loop-clock.ts'
import type { Life } from './version.ts'

export interface Link {
  readonly life: Life
  /** Requests whose replies are still to come. */
  readonly waiting: number
  close(): void
}

interface Open<L> {
  readonly link: L
  /** Changes under way, by key. */
  readonly changing: Map<string, number>
}

export class Connections<L extends Link> {
  private readonly max: number
  private readonly open: (onEnd: () => void) => L
  private links: Open<L>[] = []

  /** `open` begins to connect, and calls `onEnd` when that connection can be used no longer. */
  constructor(max: number, open: (onEnd: () => void) => L) {
    this.max = max
    this.open = open
  }

  /** The connection for a request about this key, or about none. */
  pick(key?: string): L {
    return this.take(key).link
  }

  /** Sends a change of a key by `send`. */
  change<T>(key: string, send: (link: L) => Promise<T>): Promise<T> {
    if (this.max === 1) return send(this.pick())
    const { link, changing } = this.take(key)
    changing.set(key, (changing.get(key) ?? 0) + 1)
    const done = () => {
      const count = changing.get(key) ?? 0
      if (count > 1) changing.set(key, count - 1)
      else changing.delete(key)
    }
    const sent = send(link)
    // After a time-out it may still be executed, before all that follows on this connection.
    sent.then(done, () => {})
    return sent
  }

  /** As `change`, if the server is in this life; otherwise `other`. Undefined: any life. */
  changeIn<T>(
    { key, life, timeoutMs }: { key: string; life: bigint | undefined; timeoutMs: number },
    other: T,
    send: (link: L, timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    return this.change(key, async link => {
      const { known } = link.life
      if (life === undefined || known === life) return send(link, timeoutMs)
      if (known !== undefined) return other
      const startMs = loopClock.nowMs()
      if ((await link.life.find(timeoutMs)) !== life) return other
      return send(link, timeoutMs - (loopClock.nowMs() - startMs))
    })
  }

  /** Keys by the connection for a request about all of them. */
  group(keys: readonly string[]): Map<L, readonly string[]> {
    const rest = this.take(undefined)
    if (!this.isChanging()) return new Map([[rest.link, keys]])
    const groups = new Map<L, string[]>()
    for (const key of keys) {
      const { link } = this.changer(key) ?? rest
      const group = groups.get(link)
      if (group === undefined) groups.set(link, [key])
      else group.push(key)
    }
    return groups
  }

  close(): void {
    for (const { link } of [...this.links]) link.close()
  }

  private take(key: string | undefined): Open<L> {
    if (this.links.length === 0) return this.add()
    if (this.max === 1) return this.links[0]
    for (const { link, changing } of this.links) if (link.waiting === 0) changing.clear()
    const changer = key === undefined ? undefined : this.changer(key)
    if (changer !== undefined) return changer
    const idlest = this.links.reduce((a, b) => (b.link.waiting < a.link.waiting ? b : a))
    return idlest.link.waiting === 0 || this.links.length >= this.max ? idlest : this.add()
  }

  private isChanging(): boolean {
    return this.links.some(({ changing }) => changing.size > 0)
  }

  private changer(key: string): Open<L> | undefined {
    return this.links.find(({ changing }) => changing.has(key))
  }

  private add(): Open<L> {
    let isOver = false
    const link = this.open(() => {
      isOver = true
      this.links = this.links.filter(other => other.link !== link)
    })
    const added = { link, changing: new Map<string, number>() }
    if (!isOver) this.links.push(added)
    return added
  }
}
