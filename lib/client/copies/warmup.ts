// No cold cache when servers come or go: for a while after a change a key that its new owner lacks
// is fetched from its previous owner and moved over.
//
//   reads      a miss on the new owner moves the item, then asks again
//   changes    (add, append, increments, touches ..) move the item first
//   replaces   (set) goes to the new owner, and the copy on the old one is deleted
//   removes    deletes the copy on the old owner, then the item on the new one
//
// A previous owner that fails to answer is not asked again: its copies are lost, as they would be
// without this. A request waits for it at most half of its remaining time.

import { CacheError } from '../../doors/errors.ts'
import { loopClock } from '../loop-clock.ts'
import { isAway, type Member, type Members } from '../members/members.ts'
import type { Journal } from './change-journal.ts'
import { type Ask, moveItem } from './move.ts'

/** Kinds of requests, by what they do to an item. */
export type Effect = 'reads' | 'changes' | 'replaces' | 'removes'

export class WarmUp {
  private readonly members: Members
  private readonly journal: Journal
  /** Keys being moved: other requests for one wait for it. */
  private readonly moving = new Map<string, Promise<void>>()

  constructor(members: Members, journal: Journal) {
    this.members = members
    this.journal = journal
  }

  /** Runs `call`, a request to `owner` for a key, with the moves before and after it. */
  async around<T>(
    effect: Effect,
    key: string,
    owner: Member,
    deadlineMs: number,
    call: () => Promise<T>,
  ): Promise<T> {
    if (this.members.formerOwnersOf(key, owner).length === 0) return call()
    if (effect === 'reads') {
      const answer = await call()
      if (answer !== undefined) return answer
      // Whatever came of it: others may have moved the item since, or stored a newer one.
      await this.move(key, owner, deadlineMs)
      return call()
    }
    if (effect === 'replaces') {
      const [answer] = await Promise.all([call(), this.clear(key, owner, deadlineMs)])
      return answer
    }
    // Also before it is deleted: so the answer says whether there was one.
    await this.move(key, owner, deadlineMs)
    if (effect === 'removes') await this.clear(key, owner, deadlineMs)
    return call()
  }

  /**
   * Moves what there is of these keys to their owners; the keys that are worth another look there.
   */
  async moveMany(
    keys: readonly string[],
    ownerOf: (key: string) => Member | undefined,
    deadlineMs: number,
  ): Promise<string[]> {
    const asked: string[] = []
    const moves = keys.map(async key => {
      const owner = ownerOf(key)
      if (owner === undefined || this.members.formerOwnersOf(key, owner).length === 0) return
      asked.push(key)
      await this.move(key, owner, deadlineMs)
    })
    await Promise.all(moves)
    return asked
  }

  private move(key: string, owner: Member, deadlineMs: number): Promise<void> {
    const moving = this.moving.get(key)
    if (moving !== undefined) return moving
    const begun = this.moveFromAny(key, owner, deadlineMs)
    this.moving.set(key, begun)
    return begun.finally(() => this.moving.delete(key))
  }

  private async moveFromAny(key: string, owner: Member, deadlineMs: number): Promise<void> {
    const to: Ask = call =>
      this.members.on(owner, node => call(node, deadlineMs - loopClock.nowMs()))
    for (const former of this.members.formerOwnersOf(key, owner)) {
      if (this.journal.has(former, key)) continue
      const moved = await moveItem(key, this.askOf(former, deadlineMs), to).catch(ignored)
      if (moved === 'MOVED' || moved === 'NEWER') return
    }
  }

  /** Deletes the copies of previous owners. */
  private async clear(key: string, owner: Member, deadlineMs: number): Promise<void> {
    const formers = this.members.formerOwnersOf(key, owner)
    const clearOne = (former: Member) =>
      this.askOf(former, deadlineMs)((node, ms) => node.delete(key, ms)).catch(ignored)
    await Promise.all(formers.map(clearOne))
  }

  private askOf(former: Member, deadlineMs: number): Ask {
    const nowMs = loopClock.nowMs()
    const untilMs = nowMs + (deadlineMs - nowMs) / 2
    return call =>
      this.members
        .on(former, node => call(node, untilMs - loopClock.nowMs()))
        .catch((error: unknown) => {
          if (isAway(error)) this.members.giveUp(former)
          throw error
        })
  }
}

/** An item that could not be moved is a miss. Only errors that are no CacheError are thrown. */
function ignored(error: unknown): undefined {
  if (error instanceof CacheError) return undefined
  throw error
}
