// Claims: which of all callers, in all processes, makes a value. A claim is an item of its own
// beside the value, so that the value's key stays a plain miss to clients in any language:
//
//   user:1           the value, or nothing
//   user:1~claim     a token that its owner chose, while it makes the value
//
//   add user:1~claim   stored: this caller makes the value; else another does
//   read both          the value may be there already; and the version of the claim
//   store user:1, then delete this version of the claim
//
// Where both lie on one server and one connection, the first two go out together, and the last two:
// the server carries them out in their order.
//
// A claim is revoked by deleting it: so `delete` of a value deletes the claim first. An owner that
// cannot delete its claim at the end knows that, and deletes what it stored.
//
// The token says whose claim it is. So an owner that got no answer to `add` finds its claim again
// and takes it back. A claim expires by itself, so a dead owner delays the others no longer.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { keepsOrder } from '../doors/order.ts'
import type { Item, Store } from '../doors/types.ts'
import { fitKey } from './keys.ts'

/** Pauses between polls for another's value, and between tries to take a claim back. */
const POLL_MS_MIN = 2
const POLL_MS_MAX = 50
const BACK_MS = 100

/** How often a claim is tried that is neither won nor seen; then there are none. */
const CLAIM_TRIES_MAX = 3

const OWNER_BYTES = 9
const SUFFIX = '~claim'
const AS_BYTES = { as: 'bytes' } as const

/** Its token, and the version to delete it by. */
export interface Claim {
  token: string
  cas: bigint
}

/** What came of a try to claim a key. */
export interface Turn {
  /** The item of the key. */
  item: Item<Buffer> | undefined
  /** Set if this caller is to make the value. */
  claim: Claim | undefined
  /** The token of another caller that makes it. Neither: claims are not possible. */
  holder: string | undefined
}

/** Whether an item needs no caller to make its value. */
type IsDone = (item: Item<Buffer> | undefined) => boolean

interface Seen {
  item: Item<Buffer> | undefined
  held: Claim | undefined
}

/** The key of the claim for a key: whoever deletes a value in another way deletes it first. */
export function claimKeyOf(key: string): string {
  return fitKey(key + SUFFIX)
}

/** Claims are only where all processes see them at once. */
function isTwoTiers(store: Store): store is Store & { far: Store } {
  return 'far' in store
}

export class Claims {
  private readonly store: Store
  private readonly claimS: number
  private readonly owner = randomBytes(OWNER_BYTES).toString('base64url')
  private count = 0
  /** Tokens of claims that a caller here holds or is asking for. Others of this owner are lost. */
  private readonly live = new Set<string>()

  /** A claim expires after `claimS` seconds. */
  constructor(store: Store, claimS: number) {
    this.store = isTwoTiers(store) ? store.far : store
    this.claimS = claimS
  }

  /** Tries to claim a key whose item is not done. Rejects with the cache's errors. */
  async take(key: string, isDone: IsDone): Promise<Turn> {
    let item: Item<Buffer> | undefined
    for (let tries = 0; tries < CLAIM_TRIES_MAX; tries++) {
      const { isAdded, token, seen } = await this.ask(key)
      const { held } = seen
      item = seen.item
      const isOurs = isAdded && held?.token === token
      if (isOurs && !isDone(item)) return { item, claim: held, holder: undefined }
      if (isOurs) await this.release(key, held)
      else this.lose(key, token, isAdded)
      if (isDone(item)) return { item, claim: undefined, holder: undefined }
      if (held === undefined) continue
      if (!this.isLost(held.token)) return { item, claim: undefined, holder: held.token }
      this.live.add(held.token)
      return { item, claim: held, holder: undefined }
    }
    return { item, claim: undefined, holder: undefined }
  }

  /** Resolves when that holder has no claim any more, or the item is done, or it is that late. */
  async wait(key: string, holder: string, isDone: IsDone, deadlineMs: number): Promise<boolean> {
    for (let pauseMs = POLL_MS_MIN; performance.now() < deadlineMs; ) {
      await sleep(pauseMs)
      const { item, held } = await this.look(key)
      if (isDone(item) || held?.token !== holder) return true
      pauseMs = Math.min(2 * pauseMs, POLL_MS_MAX)
    }
    return false
  }

  /** Returns whether the claim was still there: it was neither revoked nor expired. */
  async release(key: string, { token, cas }: Claim): Promise<boolean> {
    try {
      const isReleased = await this.store.delete(claimKeyOf(key), { cas })
      this.live.delete(token)
      return isReleased
    } catch (error) {
      this.lose(key, token, true)
      throw error
    }
  }

  /** Revokes the claim of whoever makes the value. Rejects with the cache's errors. */
  async revoke(key: string): Promise<void> {
    await this.store.delete(claimKeyOf(key))
  }

  private async ask(key: string): Promise<{ isAdded: boolean; token: string; seen: Seen }> {
    this.count++
    const token = `${this.owner}.${this.count}`
    this.live.add(token)
    try {
      // Sent at once where the look follows the add all the same.
      const isOrdered = keepsOrder(this.store, claimKeyOf(key), key)
      const adding = this.store.add(claimKeyOf(key), token, { ttlS: this.claimS })
      const looking = isOrdered ? this.look(key) : undefined
      looking?.catch(() => {})
      const isAdded = await adding
      return { isAdded, token, seen: await (looking ?? this.look(key)) }
    } catch (error) {
      this.lose(key, token, true)
      throw error
    }
  }

  private async look(key: string): Promise<Seen> {
    const claimKey = claimKeyOf(key)
    const found = await this.store.getManyItems<Buffer>([key, claimKey], AS_BYTES)
    const claim = found.get(claimKey)
    const held = claim && { token: claim.value.toString('latin1'), cas: claim.cas }
    return { item: found.get(key), held }
  }

  private isLost(token: string): boolean {
    return token.startsWith(`${this.owner}.`) && !this.live.has(token)
  }

  /** Gives a token up. If there may be a claim with it, it is taken back in the background. */
  private lose(key: string, token: string, isPossible: boolean): void {
    this.live.delete(token)
    if (isPossible) void this.takeBack(key, token)
  }

  /** Tries as long as the claim could last. A caller here that meets it first makes it its own. */
  private async takeBack(key: string, token: string): Promise<void> {
    const untilMs = performance.now() + this.claimS * 1000
    for (let pauseMs = 0; performance.now() + pauseMs < untilMs; pauseMs = 2 * pauseMs + BACK_MS) {
      await sleep(pauseMs, undefined, { ref: false })
      try {
        const claim = await this.store.getItem<Buffer>(claimKeyOf(key), AS_BYTES)
        if (claim?.value.toString('latin1') !== token || this.live.has(token)) return
        await this.store.delete(claimKeyOf(key), { cas: claim.cas })
        return
      } catch {
        // The cache is still away. The claim expires in any case.
      }
    }
  }
}
