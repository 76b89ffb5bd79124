// Each value is on one server, the owner of its key. While the owner is away, its keys go to the
// next server on the hash ring that is up, or miss. After a change of servers the previous owner is
// asked too (warmup.ts).

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
import type { Keyed, KeyedOptions } from './keyed.ts'
import { type Effect, WarmUp } from './warmup.ts'

export class OneCopy implements Keyed {
  private readonly options: KeyedOptions
  private readonly warmUp: WarmUp

  constructor(options: KeyedOptions) {
    this.options = options
    this.warmUp = new WarmUp(options.members)
  }

  get(key: string, exptime?: number): Promise<Hit | undefined> {
    const effect = exptime === undefined ? 'reads' : 'changes'
    return this.run(key, true, undefined, (node, ms) => node.get(key, ms, exptime), effect)
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
    const isRepeatable = mode === 'set' && version === undefined
    const effect = isRepeatable ? 'replaces' : 'changes'
    const call = async (node: PoolNode, ms: number) => {
      if (version === undefined) return node.store(request, ms)
      if (!isOf(version, node.name)) return 'EXISTS'
      return node.store({ ...request, cas: casOf(version), life: lifeOf(version) }, ms)
    }
    return this.run(key, isRepeatable, 'NOT_STORED', call, effect)
  }

  async delete(key: string, version?: bigint): Promise<boolean> {
    const effect = version === undefined ? 'removes' : 'changes'
    const call = async (node: PoolNode, ms: number) => {
      if (version === undefined) return node.delete(key, ms)
      return isOf(version, node.name) && node.delete(key, ms, casOf(version), lifeOf(version))
    }
    const isRepeatable = version === undefined
    const away = 'AWAY' as const
    const answer = await this.run<boolean | 'EXISTS' | 'AWAY'>(
      key,
      isRepeatable,
      away,
      call,
      effect,
    )
    if (answer === 'AWAY') throw notDeleted()
    return answer === true
  }

  touch(key: string, exptime: number): Promise<boolean> {
    return this.run(key, true, false, (node, ms) => node.touch(key, exptime, ms))
  }

  adjust(request: Arithmetic): Promise<bigint | undefined> {
    return this.run(request.key, false, undefined, (node, ms) => node.adjust(request, ms))
  }

  lease(key: string, request: ClaimRequest): Promise<Claim | undefined> {
    return this.run(key, false, undefined, (node, ms) => leaseOf(node, key, request, ms))
  }

  expire(key: string, version: bigint): Promise<boolean> {
    return this.run(key, false, false, async (node, ms) => {
      if (node.expire === undefined || !isOf(version, node.name)) return false
      return node.expire(key, casOf(version), ms, lifeOf(version))
    })
  }

  /** Adds the hits to `found`. */
  private async collect(
    keys: readonly string[],
    found: Map<string, Hit>,
    deadlineMs: number,
  ): Promise<void> {
    const { members, retries } = this.options
    let left = keys
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
      await Promise.all([...groupBy(left, key => this.memberOf(key))].map(ask))
      left = loopClock.nowMs() < deadlineMs ? missed : []
    }
  }

  /**
   * Sends a request to the server of a key. If the connection breaks and the request may be
   * repeated, it is retried on the server that has the key then. `away` is the answer if the key's
   * server is ejected and its keys miss.
   */
  private async run<T>(
    key: string,
    isRepeatable: boolean,
    away: T,
    call: (node: PoolNode, timeoutMs: number) => Promise<T>,
    effect: Effect = 'changes',
  ): Promise<T> {
    const { members, timeoutMs, retries } = this.options
    const deadlineMs = loopClock.nowMs() + timeoutMs
    const known = this.options.known()
    if (known !== undefined) await known
    for (let tries = 0; ; tries++) {
      const member = this.memberOf(key)
      if (member === undefined) return away
      try {
        const ask = () => members.on(member, node => call(node, deadlineMs - loopClock.nowMs()))
        return await (members.isWarming
          ? this.warmUp.around(effect, key, member, deadlineMs, ask)
          : ask())
      } catch (error) {
        const isOver = loopClock.nowMs() >= deadlineMs || tries >= retries
        if (!isAway(error) || !isRepeatable || isOver) throw error
      }
    }
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

/** Under `failover: 'miss'`: a false would say that there is no item, which may come back. */
export function notDeleted(): CacheError {
  return new CacheError('CONNECTION', 'the server of the key is away: nothing was deleted')
}

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
