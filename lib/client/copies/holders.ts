// Asks the holders of a key: which of them may answer, in which order, and for how long. What is
// asked, and what follows from the answers, is in copies.ts.

import { CacheError } from '../../doors/errors.ts'
import { loopClock } from '../loop-clock.ts'
import { isAway, type Member } from '../members/members.ts'
import type { Hit, PoolNode } from '../nodes/node.ts'
import { casOf, isOf, lifeOf } from '../nodes/version.ts'
import { Journal } from './change-journal.ts'
import type { Hedge } from './hedge.ts'
import type { KeyedOptions } from './keyed.ts'
import { groupBy, isRefusal } from './one-copy.ts'
import { Repairs } from './repairs.ts'

export interface CopiesOptions extends KeyedOptions {
  /** Servers that each value is kept on, at least 2. */
  copies: number
  /** Undefined: reads ask one server at a time. */
  hedge?: Hedge | undefined
}

/** The result of asking one holder after the other. */
export interface Found<T> {
  answer: T
  /** The holder that answered; undefined if none has the item. */
  lead: Member | undefined
  /** The holders asked before, which lack it. */
  lacking: Member[]
  /** The holders that would have been asked next. */
  rest: Member[]
}

/** A version, as the server that gave it knows it. */
interface Giver {
  member: Member | undefined
  cas: bigint
  life: bigint | undefined
}

export type Call<T> = (node: PoolNode, timeoutMs: number) => Promise<T>

/** A request to holders about a key. */
interface Asking<T> {
  key: string
  call: Call<T>
  deadlineMs: number
  /** It changes nothing. */
  isRead: boolean
  /** The answers of holders that were asked already. */
  asked?: ReadonlyMap<Member, Promise<T>>
}

/** No item has this version: a request with it only shows whether there is an item. */
const NO_VERSION = 2n ** 64n - 1n

export class Holders {
  protected readonly options: CopiesOptions
  protected readonly journal: Journal
  protected readonly repairs: Repairs

  /** `renew` is called for each key whose stale copy was removed. */
  constructor(options: CopiesOptions, renew: (key: string) => Promise<unknown>) {
    this.options = options
    const { members, timeoutMs, copies, signal, journalKeysMax: keysMax } = options
    this.journal = new Journal({ members, timeoutMs, copies, keysMax, signal, renew })
    this.repairs = new Repairs({ members, timeoutMs }, this.journal)
  }

  /** Whether no copy waits to be removed or made. */
  isSettled(): boolean {
    return this.journal.isEmpty() && this.repairs.isIdle()
  }

  /**
   * Asks one holder after the other until one answers more than `none`. `isRead`: it changes
   * nothing. Otherwise the copy of a holder that is away or does not answer counts as stale.
   */
  protected async first<T>(
    key: string,
    none: T,
    call: Call<T>,
    deadlineMs: number,
    isRead: boolean,
  ): Promise<Found<T>> {
    const discarded = isRead ? undefined : this.distrust(key, deadlineMs)
    try {
      const asking = { key, call, deadlineMs, isRead }
      return await this.among(this.askable(key, isRead), none, asking)
    } finally {
      await discarded
    }
  }

  /** A key is about to change: the copies of ejected and former holders become stale. */
  protected distrust(key: string, deadlineMs: number): Promise<void> {
    const { members, copies } = this.options
    const asked = this.reachable(key)
    for (const member of this.holders(key)) {
      if (!asked.includes(member)) this.journal.mark(member, key)
    }
    const ms = (deadlineMs - loopClock.nowMs()) / 2
    return this.journal.discard(members.formerHolders(key, copies), key, ms)
  }

  protected async among<T>(
    holders: readonly Member[],
    none: T,
    { key, call, deadlineMs, isRead, asked }: Asking<T>,
  ): Promise<Found<T>> {
    const lacking: Member[] = []
    let failure: unknown
    for (const [i, member] of holders.entries()) {
      const sent = asked?.get(member)
      if (member.hasLeft && sent === undefined) continue
      try {
        const turns = holders.length - i
        const answer = await (sent ?? this.ask(member, call, deadlineMs, turns, isRead))
        if (answer !== none) return { answer, lead: member, lacking, rest: holders.slice(i + 1) }
        lacking.push(member)
      } catch (error) {
        if (!isAway(error)) throw error
        if (!isRead) this.journal.mark(member, key)
        failure = error
      }
    }
    // Stale copies count as missing.
    const isNone = lacking.length > 0 || (isRead && failure === undefined && this.isUp(key))
    const isMiss = isNone || (isRead && failure === undefined && this.options.isMissing)
    if (!isMiss) throw failure ?? nobodyUp()
    return { answer: none, lead: undefined, lacking, rest: [] }
  }

  /** `turns`: how many holders must be asked before the deadline, including this one. */
  protected async ask<T>(
    member: Member,
    call: Call<T>,
    deadlineMs: number,
    turns: number,
    isRepeatable: boolean,
  ): Promise<T> {
    const { members, retries } = this.options
    const untilMs = loopClock.nowMs() + (deadlineMs - loopClock.nowMs()) / turns
    for (let tries = 0; ; tries++) {
      try {
        return await members.on(member, node => call(node, untilMs - loopClock.nowMs()))
      } catch (error) {
        const isGone = member.hasLeft || !member.health.isUp()
        const isOver = loopClock.nowMs() >= untilMs || tries >= retries || isGone
        if (!isAway(error) || !isRepeatable || isOver) throw error
      }
    }
  }

  /** A holder's items of these keys; undefined: it is away, left, refuses or is busy. */
  protected async getGroup(
    member: Member,
    keys: string[],
    deadlineMs: number,
    turns: number,
  ): Promise<Map<string, Hit> | undefined> {
    if (member.hasLeft) return undefined
    try {
      return await this.ask(member, (node, ms) => node.getMany(keys, ms), deadlineMs, turns, true)
    } catch (error) {
      if (isAway(error) || isRefusal(error)) return undefined
      throw error
    }
  }

  /** Asks one holder after the other, and two at once where the first is late. */
  protected async read(
    key: string,
    call: Call<Hit | undefined>,
    deadlineMs: number,
  ): Promise<Found<Hit | undefined>> {
    const { hedge } = this.options
    const holders = this.askable(key, true)
    const asking = { key, call, deadlineMs, isRead: true }
    const [first, second] = holders
    if (hedge === undefined || second === undefined) return this.among(holders, undefined, asking)
    const asked = new Map<Member, Promise<Hit | undefined>>()
    const send = (member: Member, turns: number) => {
      const answer = this.ask(member, call, deadlineMs, turns, true)
      asked.set(member, hedge.measure(member, 'one', answer))
      return asked.get(member) as Promise<Hit | undefined>
    }
    const ask = () => {
      if (!this.askable(key, true).includes(second)) return undefined
      const hasHit = (hit: Hit | undefined) => hit !== undefined
      return send(second, holders.length - 1).then(hasHit, () => false)
    }
    const answer = send(first, holders.length)
    const read = { kind: 'one', keys: [key], first, seconds: [second], answer, ask } as const
    const isWon = await hedge.isWon(read)
    if (!isWon) return this.among(holders, undefined, { ...asking, asked })
    return { answer: await asked.get(second), lead: second, lacking: [], rest: [] }
  }

  /**
   * What one holder has of these keys, as `getGroup`. Values that other holders gave before it goes
   * to `found`.
   */
  protected async readGroup(
    member: Member,
    { keys, deadlineMs, turns }: { keys: string[]; deadlineMs: number; turns: number },
    found: Map<string, Hit>,
  ): Promise<Map<string, Hit> | undefined> {
    const { hedge, copies } = this.options
    const group = () => this.getGroup(member, keys, deadlineMs, turns)
    if (hedge === undefined || turns < copies) return group()
    const groups = this.secondsOf(keys, member)
    if (groups === undefined) return group()
    const first = hedge.measure(member, 'many', group())
    const more = new Map<string, Hit>()
    const ask = () => {
      const now = this.secondsOf(keys, member)
      if (now === undefined || now.size > groups.size) return undefined
      const one = async ([second, part]: [Member, string[]]) => {
        const answer = this.getGroup(second, part, deadlineMs, turns - 1)
        for (const [key, hit] of (await hedge.measure(second, 'many', answer)) ?? []) {
          more.set(key, hit)
        }
      }
      const isAll = () => more.size === keys.length
      return Promise.all([...now].map(one)).then(isAll, () => false)
    }
    const seconds = [...groups.keys()]
    const isWon = await hedge.isWon({
      kind: 'many',
      keys,
      first: member,
      seconds,
      answer: first,
      ask,
    })
    for (const [key, hit] of isWon ? more : []) found.set(key, hit)
    return isWon ? undefined : first
  }

  /** Keys by the holder after the first; undefined: some have none. */
  private secondsOf(keys: readonly string[], first: Member): Map<Member, string[]> | undefined {
    const next = (key: string) => this.askable(key, true).find(member => member !== first)
    return keys.every(key => next(key) !== undefined) ? groupBy(keys, next) : undefined
  }

  protected holders(key: string): Member[] {
    const { members, copies } = this.options
    const holders = members.successors(key, copies)
    if (holders.length === 0) throw new CacheError('CONNECTION', 'the pool has no servers')
    return holders
  }

  protected isUp(key: string): boolean {
    return this.holders(key).some(({ health }) => health.isUp())
  }

  /** The holders that are up; all of them if none is, because then the fault may be ours. */
  protected reachable(key: string): Member[] {
    const holders = this.holders(key)
    const up = holders.filter(({ health }) => health.isUp())
    return up.length > 0 || this.options.isMissing ? up : holders
  }

  /** Removes stale copies in the background, so that the next call finds more holders. */
  private cleanOthers(key: string, all: readonly Member[], clean: readonly Member[]): void {
    const { timeoutMs } = this.options
    for (const member of all) {
      if (!clean.includes(member)) this.journal.clean(member, key, timeoutMs).catch(() => {})
    }
  }

  /** The holders that may answer and whose copy is not stale. */
  protected askable(key: string, isRead = false): Member[] {
    const reachable = this.reachable(key)
    const up = reachable.filter(member => !this.journal.has(member, key))
    if (up.length < reachable.length) this.cleanOthers(key, reachable, up)
    // A change of the item also changes the copy that is being made, or removes it for good.
    const sure = isRead ? up.filter(member => !this.repairs.isMaking(member, key)) : []
    return sure.length > 0 ? sure : up
  }

  /**
   * The holder that gave this version, or the first one for a version that none has given.
   */
  protected giverOf(key: string, version: bigint): Giver {
    const askable = this.askable(key)
    const member = askable.find(({ node }) => isOf(version, node.name))
    if (member !== undefined) return { member, cas: casOf(version), life: lifeOf(version) }
    return { member: askable[0], cas: NO_VERSION, life: undefined }
  }

  /** The deadline of a call that begins now. */
  protected async begin(): Promise<number> {
    const deadlineMs = loopClock.nowMs() + this.options.timeoutMs
    await this.options.known()
    return deadlineMs
  }
}

/** The error of a call where no holder could be asked. */
export function nobodyUp(): CacheError {
  return new CacheError('CONNECTION', 'no server of the pool that may have the key answers')
}
