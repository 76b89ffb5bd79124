// Stale copies: a server that was away or did not answer while a key was written or deleted may
// still have the old value. It is not asked for that key until its copy is removed, and later
// copied again from the others.
//
// Only the client that wrote knows this. Others may read the old copy until it is removed, which is
// at once if the server answers, else when it is back.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Member, Members } from '../members/members.ts'

/** Most keys remembered for a server; with more the whole server is emptied. */
const STALE_KEYS_MAX = 65_536

/** How many are removed at the same time, and the pause before that and in between. */
const STALE_BATCH_KEYS = 256
const STALE_REST_MS = 100

/** A server that left this long ago is forgotten, since names may never come back. */
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
  /** There were too many: all copies there are stale, and the server is emptied. */
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

  /** Removes copies now. Those that cannot be removed count as stale. Never rejects. */
  async discard(holders: readonly Member[], key: string, ms: number): Promise<void> {
    const { members } = this.options
    const one = async (member: Member) => {
      if (!member.health.isUp()) return this.mark(member, key)
      await members.on(member, node => node.delete(key, ms)).catch(() => this.mark(member, key))
    }
    await Promise.all(holders.map(one))
  }

  /**
   * The copy there is about to be replaced and must not be removed afterwards. Returns whether it
   * was stale. A server that is to be emptied will still be.
   */
  replace({ node }: Member, key: string): boolean {
    const stale = this.byServer.get(node.name)
    return stale?.isAll === false && stale.keys.delete(key)
  }

  /** Removes stale copies from a server as soon as it answers. One loop per server. */
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
      // The server's health records the failure; what was not removed is retried.
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
