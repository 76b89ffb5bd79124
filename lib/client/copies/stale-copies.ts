// Which copies are not to be believed: a server that was away, or did not answer, while a key was
// written or deleted may still have the value of before. It is not asked for that key until the
// copy is removed there, and made anew from the others.
//
// This is known to the client that wrote. Another one may read the old copy until it is removed: at
// once where the server answers, else when it is back.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Member, Members } from '../members/members.ts'

/** Keys remembered for each server that may have an old copy; with more it is emptied. */
const STALE_KEYS_MAX = 65_536

/** How many of them are removed at once, and how long to wait before that and between. */
const STALE_BATCH_KEYS = 256
const STALE_REST_MS = 100

/** A server that left the pool so long ago is forgotten: names may be new ones each time. */
export const STALE_GONE_MS = 600_000

export interface StaleOptions {
  members: Members
  timeoutMs: number
  /** Ends all work. */
  signal: AbortSignal
  /** Called for each key whose copy was removed. */
  renew(key: string): Promise<unknown>
}

interface Stale {
  keys: Set<string>
  /** There were too many: no copy there is to be believed, and the server is emptied. */
  isAll: boolean
}

export class StaleCopies {
  private readonly options: StaleOptions
  /** By the name of the server, which may leave the pool and come back. */
  private readonly byServer = new Map<string, Stale>()

  constructor(options: StaleOptions) {
    this.options = options
  }

  isEmpty(): boolean {
    return this.byServer.size === 0
  }

  has({ node }: Member, key: string): boolean {
    const stale = this.byServer.get(node.name)
    return stale !== undefined && (stale.isAll || stale.keys.has(key))
  }

  mark({ node }: Member, key: string): void {
    const known = this.byServer.get(node.name)
    const stale = known ?? { keys: new Set<string>(), isAll: false }
    if (stale.keys.size < STALE_KEYS_MAX) stale.keys.add(key)
    else stale.isAll = true
    if (known !== undefined) return
    this.byServer.set(node.name, stale)
    void this.mend(node.name, stale)
  }

  /** Removes copies now; where that fails they are not to be believed. Never rejects. */
  async discard(holders: readonly Member[], key: string, ms: number): Promise<void> {
    const { members } = this.options
    const one = async (member: Member) => {
      if (!member.health.isUp()) return this.mark(member, key)
      await members.on(member, node => node.delete(key, ms)).catch(() => this.mark(member, key))
    }
    await Promise.all(holders.map(one))
  }

  /**
   * The copy there is about to be replaced, and not to be removed behind that; whether it was not
   * to be believed. A server that is to be emptied stays so.
   */
  replace({ node }: Member, key: string): boolean {
    const stale = this.byServer.get(node.name)
    return stale?.isAll === false && stale.keys.delete(key)
  }

  /** Removes what is stale on a server as soon as it can be asked. One loop a server. */
  private async mend(name: string, stale: Stale): Promise<void> {
    const { members, signal } = this.options
    let seenMs = performance.now()
    while (stale.isAll || stale.keys.size > 0) {
      await sleep(STALE_REST_MS, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      const member = members.all().find(({ node }) => node.name === name)
      if (member !== undefined) seenMs = performance.now()
      else if (performance.now() - seenMs > STALE_GONE_MS) break
      if (!member?.health.isUp()) continue
      // A failure is told by the server's health; what was not removed is tried again.
      await (stale.isAll ? this.empty(member, stale) : this.remove(member, stale)).catch(() => {})
    }
    this.byServer.delete(name)
  }

  private async empty(member: Member, stale: Stale): Promise<void> {
    const { members, timeoutMs } = this.options
    await members.on(member, node => node.flush(0, timeoutMs))
    stale.isAll = false
    stale.keys.clear()
  }

  private async remove(member: Member, stale: Stale): Promise<void> {
    const { members, timeoutMs, renew } = this.options
    const keys = [...stale.keys].slice(0, STALE_BATCH_KEYS)
    await Promise.all(
      keys.map(async key => {
        await members.on(member, node => node.delete(key, timeoutMs))
        stale.keys.delete(key)
      }),
    )
    await Promise.allSettled(keys.map(renew))
  }
}
