// Each value on several servers. The holders of a key are the first `copies` distinct servers that
// the hash ring names for it, up or not. The first holder that is up leads: it is read, and it
// decides what an operation finds. A server that dies takes no value with it.
//
//   set                      to all holders that are up, at the same time
//   get                      from the leader; a miss asks the next holder, whose hit is copied back
//   add, replace, append,    by the first holder that has the item, or the leader; then the others
//   touch, incr, cas         do the same, or get a copy where they have none
//   delete                   by all holders, the owner last (repairs.ts says why)
//
// A holder that was away or did not answer while a key changed is not asked for that key until its
// copy is removed (change-journal.ts). So an operation whose outcome on a holder is unknown can go
// on with the next. Clients that change a key at the same time may leave its copies different until
// the next change. For a while after the servers changed, a change also deletes the copies of
// former holders, which may become holders again.

import { isAway, type Member } from '../members/members.ts'
import type { Arithmetic, Claim, ClaimRequest, Hit, Stored, StoreRequest } from '../nodes/node.ts'
import { type Call, type CopiesOptions, type Found, Holders, nobodyUp } from './holders.ts'
import type { Keyed } from './keyed.ts'
import { groupBy, leaseOf } from './one-copy.ts'

export class Copies extends Holders implements Keyed {
  constructor(options: CopiesOptions) {
    super(options, key => this.get(key))
  }

  async get(key: string, exptime?: number): Promise<Hit | undefined> {
    const deadlineMs = await this.begin()
    const isRead = exptime === undefined
    const call: Call<Hit | undefined> = (node, ms) => node.get(key, ms, exptime)
    const found = isRead
      ? await this.read(key, call, deadlineMs)
      : await this.first(key, undefined, call, deadlineMs, false)
    const { answer, lead, lacking, rest } = found
    if (answer === undefined || lead === undefined) return undefined
    if (!isRead) await this.spread(key, lead, rest, touchBy(key, exptime), deadlineMs)
    this.repairs.start(key, lead, lacking, isRead ? answer : undefined)
    return answer
  }

  async getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    const deadlineMs = await this.begin()
    const { copies } = this.options
    const found = new Map<string, Hit>()
    const askable = new Map(keys.map(key => [key, this.askable(key, true)]))
    const lacking = new Map<string, Member[]>()
    for (let turn = 0; turn < copies; turn++) {
      const left = [...askable.keys()].filter(key => !found.has(key))
      const ask = async ([member, group]: [Member, string[]]) => {
        const asking = { keys: group, deadlineMs, turns: copies - turn }
        const hits = await this.readGroup(member, asking, found)
        for (const key of hits === undefined ? [] : group) {
          const hit = hits?.get(key)
          const before = lacking.get(key) ?? []
          if (hit === undefined) lacking.set(key, [...before, member])
          else {
            found.set(key, hit)
            this.repairs.start(key, member, before, hit)
          }
        }
      }
      await Promise.all([...groupBy(left, key => askable.get(key)?.[turn])].map(ask))
    }
    return found
  }

  store(request: StoreRequest): Promise<Stored> {
    const { mode, cas } = request
    if (mode === 'set') return cas === undefined ? this.set(request) : this.setIf(request, cas)
    return mode === 'add' ? this.add(request) : this.change(request)
  }

  async delete(key: string, cas?: bigint): Promise<boolean> {
    const deadlineMs = await this.begin()
    const holders = this.holders(key)
    const asked = this.reachable(key)
    const discarded = cas === undefined ? this.distrust(key, deadlineMs) : undefined
    const tag = cas === undefined ? undefined : await this.deleteIf(key, cas, deadlineMs)
    if (tag === false) return false
    let isGone = tag !== undefined
    let answers = isGone ? 1 : 0
    let failure: unknown
    for (const [i, member] of holders.toReversed().entries()) {
      if (member === tag) continue
      if (!asked.includes(member) || member.hasLeft) {
        this.journal.mark(member, key)
        continue
      }
      try {
        const call: Call<boolean | 'EXISTS'> = (node, ms) => node.delete(key, ms)
        const isStale = this.journal.has(member, key)
        const was = await this.ask(member, call, deadlineMs, holders.length - i, true)
        isGone ||= was === true && !isStale
        answers++
      } catch (error) {
        this.journal.mark(member, key)
        failure = error
      }
    }
    await discarded
    // Again, because a copy may have been in flight.
    if (cas === undefined) await this.distrust(key, deadlineMs)
    if (answers === 0) throw failure ?? nobodyUp()
    return isGone
  }

  async touch(key: string, exptime: number): Promise<boolean> {
    const deadlineMs = await this.begin()
    const call = touchBy(key, exptime)
    const found = await this.first(key, false, call, deadlineMs, false)
    await this.agree(key, found, call, deadlineMs)
    return found.answer
  }

  async adjust(request: Arithmetic): Promise<bigint | undefined> {
    const deadlineMs = await this.begin()
    const { key, initial } = request
    const count = { ...request, initial: undefined }
    const call: Call<bigint | undefined> = (node, ms) => node.adjust(count, ms)
    const found = await this.first(key, undefined, call, deadlineMs, false)
    const has: Call<boolean> = async (node, ms) => (await node.adjust(count, ms)) !== undefined
    await this.agree(key, found, has, deadlineMs)
    if (found.lead !== undefined || initial === undefined) return found.answer
    const begin: Call<bigint | undefined> = (node, ms) => node.adjust(request, ms)
    const made = await this.first(key, undefined, begin, deadlineMs, false)
    const also: Call<boolean> = async (node, ms) => (await node.adjust(request, ms)) !== undefined
    if (made.lead !== undefined) {
      await this.spread(key, made.lead, made.rest, also, deadlineMs)
    }
    return made.answer
  }

  async lease(key: string, request: ClaimRequest): Promise<Claim | undefined> {
    const deadlineMs = await this.begin()
    const call: Call<Claim | undefined> = (node, ms) => leaseOf(node, key, request, ms)
    const askable = this.askable(key)
    // Where keys miss there are no claims, and nothing to wait for.
    if (askable.length === 0 && this.options.isMissing) return undefined
    const asking = { key, call, deadlineMs, isRead: false }
    const claim = await this.among(askable, undefined, asking)
    const { answer, lead, rest } = claim
    if (answer === undefined || lead === undefined) return undefined
    if (!answer.won || answer.value.length > 0 || rest.length === 0) return answer
    // The leader may have lost an item that others still have; then no caller needs to make it.
    const get: Call<Hit | undefined> = (node, ms) => node.get(key, ms)
    const reading = { key, call: get, deadlineMs, isRead: true }
    const kept = await this.among(rest, undefined, reading)
    if (kept.answer === undefined || kept.lead === undefined) return answer
    const withdraw: Call<boolean> = async (node, ms) => {
      await node.delete(key, ms, answer.cas)
      return false
    }
    await this.spread(key, kept.lead, [lead], withdraw, deadlineMs)
    return { ...kept.answer, won: false, isClaimed: false, isStale: false }
  }

  async expire(key: string, version: bigint): Promise<boolean> {
    const deadlineMs = await this.begin()
    const { member, cas, life } = this.giverOf(key, version)
    if (member === undefined) throw nobodyUp()
    const call: Call<boolean> = async (node, ms) =>
      (await node.expire?.(key, cas, ms, life)) === true
    if (!(await this.changing(member, key, call, deadlineMs))) return false
    const others = this.holders(key).filter(holder => holder !== member)
    await this.spread(key, member, others, removeBy(key), deadlineMs)
    return true
  }

  /** A holder that alone refuses a change still has the old value. */
  private async set(request: StoreRequest): Promise<Stored> {
    const deadlineMs = await this.begin()
    const { key } = request
    const call: Call<Stored> = (node, ms) => node.store(request, ms)
    const discarded = this.distrust(key, deadlineMs)
    const up = this.reachable(key)
    const wasStale = up.map(member => this.journal.replace(member, key))
    const answers = await Promise.allSettled(
      up.map(member => this.ask(member, call, deadlineMs, 1, true)),
    )
    await discarded
    const isStored = answers.some(({ status }) => status === 'fulfilled')
    let failure: unknown
    for (const [i, answer] of answers.entries()) {
      if (answer.status === 'fulfilled') continue
      failure ??= answer.reason
      if (isStored || wasStale[i] || isAway(answer.reason)) this.journal.mark(up[i], key)
    }
    if (isStored) return 'STORED'
    throw failure ?? nobodyUp()
  }

  /** The holder that gave the version decides. */
  private async setIf(request: StoreRequest, version: bigint): Promise<Stored> {
    const deadlineMs = await this.begin()
    const { key } = request
    const { member, cas, life } = this.giverOf(key, version)
    if (member === undefined) throw nobodyUp()
    const asked = { ...request, cas, life }
    const answer = await this.changing(member, key, (node, ms) => node.store(asked, ms), deadlineMs)
    if (answer === 'STORED') await this.follow(request, member, deadlineMs)
    return answer
  }

  /** Deletes what the leader added if another holder had the item: the leader had lost it. */
  private async add(request: StoreRequest): Promise<Stored> {
    const deadlineMs = await this.begin()
    const { key } = request
    const call: Call<Stored | undefined> = (node, ms) => node.store(request, ms)
    const { answer, lead, rest } = await this.first(key, undefined, call, deadlineMs, false)
    if (lead === undefined || answer === undefined) return 'NOT_STORED'
    if (answer !== 'STORED') return answer
    let isThere = false
    const also: Call<boolean> = async (node, ms) => {
      const added = await node.store(request, ms)
      if (added !== 'STORED') isThere = true
      return true
    }
    await this.spread(key, lead, rest, also, deadlineMs)
    if (!isThere) return 'STORED'
    await this.spread(key, lead, [lead], removeBy(key), deadlineMs)
    return 'NOT_STORED'
  }

  /** replace, append and prepend. */
  private async change(request: StoreRequest): Promise<Stored> {
    const deadlineMs = await this.begin()
    const { key, mode } = request
    const call: Call<Stored> = (node, ms) => node.store(request, ms)
    const found = await this.first<Stored>(key, 'NOT_STORED', call, deadlineMs, false)
    const { answer, lead } = found
    if (lead === undefined || answer !== 'STORED') return answer
    if (mode === 'replace') await this.follow(request, lead, deadlineMs)
    else {
      const also: Call<boolean> = async (node, ms) => (await node.store(request, ms)) === 'STORED'
      await this.agree(key, found, also, deadlineMs)
    }
    return answer
  }

  /** Stores the leader's value on the others. */
  private follow(request: StoreRequest, lead: Member, deadlineMs: number): Promise<void> {
    const { key } = request
    const plain = { ...request, mode: 'set', cas: undefined } as const
    const others = this.holders(key).filter(member => member !== lead)
    const call: Call<boolean> = async (node, ms) => (await node.store(plain, ms)) === 'STORED'
    return this.spread(key, lead, others, call, deadlineMs)
  }

  private async deleteIf(
    key: string,
    version: bigint,
    deadlineMs: number,
  ): Promise<Member | false> {
    const { member, cas, life } = this.giverOf(key, version)
    if (member === undefined) throw nobodyUp()
    const call: Call<boolean | 'EXISTS'> = (node, ms) => node.delete(key, ms, cas, life)
    return (await this.changing(member, key, call, deadlineMs)) === true && member
  }

  /** Repeats the operation on the others, and copies the item to those that lack it. */
  private async agree(
    key: string,
    { lead, lacking, rest }: Found<unknown>,
    call: Call<boolean>,
    deadlineMs: number,
  ): Promise<void> {
    if (lead === undefined) return
    await this.spread(key, lead, rest, call, deadlineMs)
    this.repairs.start(key, lead, lacking)
  }

  /** Repeats the operation on others. One that lacks the item gets a copy of the leader's. */
  private async spread(
    key: string,
    lead: Member,
    others: readonly Member[],
    call: Call<boolean>,
    deadlineMs: number,
  ): Promise<void> {
    const lacking: Member[] = []
    const one = async (member: Member) => {
      try {
        if (!(await this.ask(member, call, deadlineMs, 1, false))) lacking.push(member)
      } catch {
        this.journal.mark(member, key)
      }
    }
    await Promise.all(others.map(one))
    this.repairs.start(key, lead, lacking)
  }

  /** Changes a key on one holder. If the outcome is unknown, its copy counts as stale. */
  private async changing<T>(
    member: Member,
    key: string,
    call: Call<T>,
    deadlineMs: number,
  ): Promise<T> {
    const discarded = this.distrust(key, deadlineMs)
    try {
      return await this.ask(member, call, deadlineMs, 1, false)
    } catch (error) {
      if (isAway(error)) this.journal.mark(member, key)
      throw error
    } finally {
      await discarded
    }
  }
}

function touchBy(key: string, exptime: number): Call<boolean> {
  return (node, ms) => node.touch(key, exptime, ms)
}

function removeBy(key: string): Call<boolean> {
  return async (node, ms) => {
    await node.delete(key, ms)
    return true
  }
}
