// Each value is on one server, the owner of its key. While the owner is away, its keys go to the
// next server on the hash ring that is up, or miss. After a change of servers the previous owner is
// asked too (warmup.ts).
//
// A change that its owner did not hear of is in the journal (change-journal.ts): what the owner
// still has is removed before it is asked for that key again, and what another server took is
// removed there once the owner is back. So is what an overwrite or a delete left behind whose
// outcome is unknown.

import { CacheError } from '../../doors/errors.ts'
import { loopClock } from '../loop-clock.ts'
import { isAway, type Member } from '../members/members.ts'
import type {
  Arithmetic,
  Claim,
  ClaimRequest,
  Hit,
  PoolNode,
  Stored,
  StoreRequest,
} from '../nodes/node.ts'
import { casOf, isOf, lifeOf } from '../nodes/version.ts'
import { Journal } from './change-journal.ts'
import type { Keyed, KeyedOptions } from './keyed.ts'
import { type Effect, WarmUp } from './warmup.ts'

type Call<T> = (node: PoolNode, timeoutMs: number) => Promise<T>

/** A request about a key. */
interface Job<T> {
  key: string
  call: Call<T>
  effect: Effect
  /** A repetition does no harm. */
  isRepeatable?: boolean
  /** If its outcome is unknown, what is there may be older than what the caller knows. */
  overwrites?: boolean
  /** The answer where the key's server is ejected and its keys miss. Undefined: an error. */
  away?: () => T
}

export class OneCopy implements Keyed {
  private readonly options: KeyedOptions
  private readonly journal: Journal
  private readonly warmUp: WarmUp

  constructor(options: KeyedOptions) {
    this.options = options
    const { members, timeoutMs, signal, journalKeysMax: keysMax } = options
    const renew = async () => {}
    this.journal = new Journal({ members, timeoutMs, copies: 1, keysMax, signal, renew })
    this.warmUp = new WarmUp(members, this.journal)
  }

  get(key: string, exptime?: number): Promise<Hit | undefined> {
    const effect = exptime === undefined ? 'reads' : 'changes'
    const call: Call<Hit | undefined> = (node, ms) => node.get(key, ms, exptime)
    return this.run({ key, call, effect, isRepeatable: true, away: () => undefined })
  }

  async getMany(keys: readonly string[]): Promise<Map<string, Hit>> {
    const { members, timeoutMs } = this.options
    const found = new Map<string, Hit>()
    const deadlineMs = loopClock.nowMs() + timeoutMs
    await this.options.known()
    const wanted = [...new Set(keys)]
    await this.collect(wanted, found, deadlineMs)
    if (!members.isWarming || found.size === wanted.length) return found
    const missed = wanted.filter(key => !found.has(key))
    const moved = await this.warmUp.moveMany(missed, key => this.memberOf(key), deadlineMs)
    await this.collect(moved, found, deadlineMs)
    return found
  }

  store(request: StoreRequest): Promise<Stored> {
    const { mode, key, cas: version } = request
    const isPlain = mode === 'set' && version === undefined
    const call: Call<Stored> = async (node, ms) => {
      if (version === undefined) return node.store(request, ms)
      if (!isOf(version, node.name)) return 'EXISTS'
      return node.store({ ...request, cas: casOf(version), life: lifeOf(version) }, ms)
    }
    const overwrites = mode === 'set' || mode === 'replace'
    const effect = isPlain ? 'replaces' : 'changes'
    return this.run({ key, call, effect, isRepeatable: isPlain, overwrites })
  }

  async delete(key: string, version?: bigint): Promise<boolean> {
    const isPlain = version === undefined
    const call: Call<boolean | 'EXISTS'> = async (node, ms) => {
      if (version === undefined) return node.delete(key, ms)
      return isOf(version, node.name) && node.delete(key, ms, casOf(version), lifeOf(version))
    }
    const effect = isPlain ? 'removes' : 'changes'
    const answer = await this.run({ key, call, effect, isRepeatable: isPlain, overwrites: isPlain })
    return answer === true
  }

  touch(key: string, exptime: number): Promise<boolean> {
    const call: Call<boolean> = (node, ms) => node.touch(key, exptime, ms)
    return this.run({ key, call, effect: 'changes', isRepeatable: true })
  }

  adjust(request: Arithmetic): Promise<bigint | undefined> {
    const call: Call<bigint | undefined> = (node, ms) => node.adjust(request, ms)
    return this.run({ key: request.key, call, effect: 'changes' })
  }

  /** Where keys miss there are no claims, and nothing to wait for. */
  lease(key: string, request: ClaimRequest): Promise<Claim | undefined> {
    const call: Call<Claim | undefined> = (node, ms) => leaseOf(node, key, request, ms)
    return this.run({ key, call, effect: 'changes', away: () => undefined })
  }

  expire(key: string, version: bigint): Promise<boolean> {
    const call: Call<boolean> = async (node, ms) => {
      if (node.expire === undefined || !isOf(version, node.name)) return false
      return node.expire(key, casOf(version), ms, lifeOf(version))
    }
    return this.run({ key, call, effect: 'changes' })
  }

  /** Both are asked of one connection, and neither needs another request first. */
  keepsOrder(key: string, other: string): boolean {
    const { members } = this.options
    if (members.count === 0 || members.isWarming || !this.journal.isQuiet) return false
    const member = this.memberOf(key)
    return member?.node.keepsOrder === true && member === this.memberOf(other)
  }

  /** Whether no copy waits to be removed. */
  isSettled(): boolean {
    return this.journal.isEmpty()
  }

  /** Adds the hits to `found`. */
  private async collect(
    keys: readonly string[],
    found: Map<string, Hit>,
    deadlineMs: number,
  ): Promise<void> {
    const { members, retries } = this.options
    let left = await this.cleaned(keys, deadlineMs)
    for (let tries = 0; tries <= retries && left.length > 0; tries++) {
      const missed: string[] = []
      const ask = async ([member, group]: [Member, string[]]) => {
        const ms = deadlineMs - loopClock.nowMs()
        try {
          for (const [key, hit] of await members.on(member, node => node.getMany(group, ms))) {
            found.set(key, hit)
          }
        } catch (error) {
          if (isAway(error)) for (const key of group) missed.push(key)
          else if (!isRefusal(error)) throw error
        }
      }
      const askable = (key: string) => {
        const member = this.memberOf(key)
        return member === undefined || this.journal.has(member, key) ? undefined : member
      }
      await Promise.all([...groupBy(left, askable)].map(ask))
      left = loopClock.nowMs() < deadlineMs ? missed : []
    }
  }

  /** The keys whose server has no stale copy. Of the others it is removed: they are misses. */
  private async cleaned(keys: readonly string[], deadlineMs: number): Promise<readonly string[]> {
    if (this.journal.isQuiet) return keys
    const stale = new Set<string>()
    const cleaning = keys.map(async key => {
      const member = this.memberOf(key)
      if (member === undefined || !this.journal.has(member, key)) return
      stale.add(key)
      await this.clean(member, key, deadlineMs).catch(() => {})
    })
    await Promise.all(cleaning)
    return stale.size === 0 ? keys : keys.filter(key => !stale.has(key))
  }

  /**
   * Sends a request to the server of a key. If the connection breaks and the request may be
   * repeated, it is retried on the server that has the key then.
   */
  private async run<T>(job: Job<T>): Promise<T> {
    const { timeoutMs, retries } = this.options
    const deadlineMs = loopClock.nowMs() + timeoutMs
    const known = this.options.known()
    if (known !== undefined) await known
    for (let tries = 0; ; tries++) {
      const member = this.memberOf(job.key)
      if (member === undefined) return this.answerAway(job)
      try {
        return await (job.effect === 'reads'
          ? this.read(job, member, deadlineMs)
          : this.change(job, member, deadlineMs))
      } catch (error) {
        const isOver = loopClock.nowMs() >= deadlineMs || tries >= retries
        if (!isAway(error) || job.isRepeatable !== true || isOver) throw error
      }
    }
  }

  /** The owner is ejected, and its keys miss. A change is none that was made. */
  private answerAway<T>({ key, overwrites, away }: Job<T>): T {
    const owner = this.options.members.ownerOf(key)
    if (overwrites === true && owner !== undefined) this.journal.mark(owner, key)
    if (away !== undefined) return away()
    const words = 'the server of the key is away: nothing was stored or deleted'
    throw new CacheError('CONNECTION', words, { server: owner?.node.name })
  }

  private async read<T>(job: Job<T>, member: Member, deadlineMs: number): Promise<T> {
    if (this.journal.has(member, job.key)) await this.clean(member, job.key, deadlineMs)
    return this.ask(job, member, deadlineMs)
  }

  private async change<T>(job: Job<T>, member: Member, deadlineMs: number): Promise<T> {
    const { key, effect, overwrites } = job
    const { journal } = this
    const isPlain = effect === 'replaces' || effect === 'removes'
    const wasStale = isPlain ? journal.replace(member, key) : journal.has(member, key)
    if (wasStale && !isPlain) await this.clean(member, key, deadlineMs)
    if (overwrites === true) this.lend(key, member)
    try {
      const answer = await this.ask(job, member, deadlineMs)
      if (overwrites !== true && isChanged(answer)) this.lend(key, member)
      const again = isPlain ? await this.followKey(job, member, deadlineMs) : undefined
      if (again === undefined) this.settle(key, member)
      return isChanged(answer) ? answer : (again ?? answer)
    } catch (error) {
      if (isAway(error)) this.lend(key, member)
      if (wasStale || (overwrites === true && isAway(error))) journal.mark(member, key)
      this.settle(key, member)
      throw error
    }
  }

  /**
   * The key went to another server while it was replaced or removed: does it there too, so that
   * nothing has to miss. Undefined: it did not. Rejects as the server does.
   */
  private async followKey<T>(
    job: Job<T>,
    member: Member,
    deadlineMs: number,
  ): Promise<T | undefined> {
    const owner = this.options.members.ownerOf(job.key)
    const now = owner === undefined || owner === member ? undefined : this.memberOf(job.key)
    if (now === undefined || now === member || loopClock.nowMs() >= deadlineMs) return undefined
    const answer = await this.change(job, now, deadlineMs)
    this.journal.mark(member, job.key)
    return answer
  }

  private ask<T>({ key, call, effect }: Job<T>, member: Member, deadlineMs: number): Promise<T> {
    const { members } = this.options
    const ask = () => members.on(member, node => call(node, deadlineMs - loopClock.nowMs()))
    return members.isWarming ? this.warmUp.around(effect, key, member, deadlineMs, ask) : ask()
  }

  private clean(member: Member, key: string, deadlineMs: number): Promise<void> {
    return this.journal.clean(member, key, deadlineMs - loopClock.nowMs())
  }

  /** The servers before this one do not hear of the change. */
  private lend(key: string, member: Member): void {
    const { members } = this.options
    if (members.ownerOf(key) === member) return
    for (const before of members.successors(key, members.count)) {
      if (before === member) return
      this.journal.mark(before, key, member)
    }
  }

  /** If the key went to another server meanwhile, it is unknown which change was the last. */
  private settle(key: string, member: Member): void {
    const { members } = this.options
    const owner = members.ownerOf(key)
    if (owner === undefined || owner === member) return
    const now = this.memberOf(key)
    if (now === member) return
    this.journal.mark(member, key)
    if (now !== undefined) this.journal.mark(now, key)
  }

  /**
   * The server to ask for a key: its owner or the next that is up, and the owner if none is,
   * because then the fault may be ours. Undefined: its keys miss.
   */
  private memberOf(key: string): Member | undefined {
    const { members, isMissing } = this.options
    const owner = members.ownerOf(key)
    if (owner === undefined) throw new CacheError('CONNECTION', 'the pool has no servers')
    if (owner.health.isUp()) return owner
    if (isMissing) return undefined
    return members.successors(key, members.count).find(({ health }) => health.isUp()) ?? owner
  }
}

/**
 * Whether an answer says that something was changed. A claim is nothing that makes another value
 * stale: what is stored in its place is.
 */
function isChanged(answer: unknown): boolean {
  if (typeof answer === 'object' && answer !== null && 'won' in answer) return false
  return answer !== undefined && !NOTHING_CHANGED.has(answer)
}

const NOTHING_CHANGED = new Set<unknown>([false, 'NOT_STORED', 'NOT_FOUND', 'EXISTS'])

/** Keys by the server to ask for them; those without one are left out. */
export function groupBy(
  keys: readonly string[],
  memberOf: (key: string) => Member | undefined,
): Map<Member, string[]> {
  const groups = new Map<Member, string[]>()
  for (const key of keys) {
    const member = memberOf(key)
    if (member === undefined) continue
    const group = groups.get(member)
    if (group === undefined) groups.set(member, [key])
    else group.push(key)
  }
  return groups
}

/** A lease, or the plain item if the node has no leases. */
export async function leaseOf(
  node: PoolNode,
  key: string,
  request: ClaimRequest,
  timeoutMs: number,
): Promise<Claim | undefined> {
  if (node.lease !== undefined) return node.lease(key, request, timeoutMs)
  const hit = await node.get(key, timeoutMs)
  return hit && { ...hit, won: false, isClaimed: false, isStale: false }
}

/** Whether an error says that the server or its connection did not accept the request. */
export function isRefusal(error: unknown): boolean {
  return error instanceof CacheError && REFUSED_CODES.has(error.code)
}

const REFUSED_CODES = new Set(['SERVER', 'BUSY', 'TOO_LARGE', 'NO_MEMORY', 'NON_NUMERIC'])
