// The members of a pool: a node and its health for each server, and the hash ring that says which
// member owns a key. Servers may come and go while requests run. A request ends on the member it
// began with, members that stay keep their connections and health, and one that left is closed once
// it is idle. For a while after a change the previous owners of keys are remembered (for
// warmup.ts).

import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { CacheError } from '../../doors/errors.ts'
import { WARMUP_VIEWS_MAX } from '../limits.ts'
import { addressText } from '../nodes/connection.ts'
import type { PoolNode } from '../nodes/node.ts'
import { isUnsent } from '../nodes/pending.ts'
import {
  createRing,
  ownerOf,
  type Ring,
  type RingNode,
  type RingOptions,
  successorsOf,
} from '../ring/ring.ts'
import type { Health } from './health.ts'

/**
 * A server that answers a probe is probed once more after this time: it may have been stopped, and
 * is to execute first what it had received before.
 */
const SETTLE_MS = 100

export interface Member {
  readonly node: PoolNode
  readonly health: Health
  /** Requests in flight. */
  busy: number
  /** It is closed as soon as it is idle. */
  hasLeft: boolean
  isProbed: boolean
}

export interface MemberOptions extends RingOptions {
  createNode(server: RingNode): PoolNode
  createHealth(name: string): Health
  /** Time-out of a probe, ms. */
  probeMs: number
  /** How long after a change previous owners are remembered, ms. */
  warmupMs: number
  /** All items are moved to their owners at each change: no server has old ones. */
  drained?: boolean | undefined
}

/** The servers at one time; members are in the order of the ring's node indices. */
interface View {
  readonly ring: Ring
  readonly members: readonly Member[]
  /** In a past view: the members that are not asked any more. */
  readonly lost: Set<Member>
}

export class Members {
  private readonly options: MemberOptions
  private view: View
  private servers: readonly RingNode[] = []
  /** Past views, newest first. */
  private former: readonly View[] = []
  /** By name: current members, and those that left and are not idle yet. */
  private readonly open = new Map<string, Member>()
  private readonly closing = new AbortController()
  /** A view was forgotten: what its members still have of their former keys may be stale. */
  private hasForgotten = false
  /**
   * Called when members may own keys again that they owned in a forgotten view, with the names of
   * the servers that a key went to until now.
   */
  onRegain: (namesBefore: (key: string, count: number) => readonly string[]) => void = () => {}
  /** All requests on a broken connection share one error, which counts as one failure. */
  private readonly counted = new WeakSet<CacheError>()

  constructor(servers: readonly RingNode[], options: MemberOptions) {
    this.options = options
    this.view = this.viewOf(servers)
  }

  /**
   * Sets the servers. ARGUMENT if they cannot form a ring; then nothing changes.
   */
  set(servers: readonly RingNode[]): void {
    if (this.closing.signal.aborted || isDeepStrictEqual(servers, this.servers)) return
    const before = this.view
    this.view = this.viewOf(servers)
    this.servers = [...servers]
    if (this.hasForgotten && this.options.drained !== true) {
      this.onRegain((key, count) =>
        successorsOf(before.ring, key, count).map(index => before.members[index].node.name),
      )
    }
    if (before.members.length > 0) {
      if (this.options.warmupMs > 0) this.remember(before)
      else this.hasForgotten = true
    }
    const staying = new Set(this.view.members)
    for (const member of [...this.open.values()]) {
      member.hasLeft = !staying.has(member)
      // A member that left while it was ejected is no longer probed, and may come back.
      if (!member.hasLeft && !member.health.isUp()) void this.probe(member)
      this.closeIfDone(member)
    }
  }

  /** The previous owners of a key, newest first, without `owner`. */
  formerOwnersOf(key: string, owner: Member): Member[] {
    const found: Member[] = []
    for (const { ring, members, lost } of this.former) {
      const member = members[ownerOf(ring, key)]
      const isAsked = member.health.isUp() && !lost.has(member)
      if (member !== owner && isAsked && !found.includes(member)) found.push(member)
    }
    return found
  }

  /**
   * The members that had copies of a key before the last changes, `count` each time, and no longer
   * do.
   */
  formerHolders(key: string, count: number): Member[] {
    if (!this.isWarming) return []
    const holders = this.successors(key, count)
    const found = this.former.flatMap(({ ring, members, lost }) =>
      successorsOf(ring, key, count)
        .map(index => members[index])
        .filter(member => !lost.has(member) && !holders.includes(member)),
    )
    return [...new Set(found)]
  }

  /** Members of past views that left and may still be asked. */
  leaving(): Member[] {
    const members = this.former.flatMap(({ members, lost }) =>
      members.filter(member => member.hasLeft && !lost.has(member)),
    )
    return [...new Set(members)]
  }

  /** Stops asking it for what it owned before. */
  giveUp(member: Member): void {
    this.hasForgotten = true
    for (const { lost } of this.former) lost.add(member)
    this.closeIfDone(member)
  }

  /** Each member once. */
  all(): Member[] {
    return [...new Set(this.view.members)]
  }

  get count(): number {
    return this.view.members.length
  }

  /** Whether there are previous owners. */
  get isWarming(): boolean {
    return this.former.length > 0
  }

  /** The member that a key belongs to; undefined where there is none. */
  ownerOf(key: string): Member | undefined {
    const { ring, members } = this.view
    const index = ownerOf(ring, key)
    return index < 0 ? undefined : members[index]
  }

  /** The members that a key goes to, its owner first; at most `count`. */
  successors(key: string, count: number): Member[] {
    const { ring, members } = this.view
    return successorsOf(ring, key, count).map(index => members[index])
  }

  /** Sends a request to one server and records its health. */
  async on<T>(member: Member, call: (node: PoolNode) => Promise<T>): Promise<T> {
    const { node, health } = member
    member.busy++
    try {
      const answer = await call(node)
      health.succeed(performance.now())
      return answer
    } catch (error) {
      if (isAway(error) && !isUnsent(error) && !this.counted.has(error)) {
        this.counted.add(error)
        if (health.fail(performance.now())) void this.probe(member)
      }
      throw error
    } finally {
      member.busy--
      this.closeIfDone(member)
    }
  }

  /** Whether a request is in flight. */
  isBusy(): boolean {
    return [...this.open.values()].some(({ busy }) => busy > 0)
  }

  /** Closes all connections; pending requests reject with CLOSED. */
  close(): void {
    this.closing.abort()
    for (const { node } of this.open.values()) node.close()
  }

  private viewOf(servers: readonly RingNode[]): View {
    const ring = createRing(servers, this.options)
    const members = servers.map(server => this.memberFor(server))
    return { ring, members, lost: new Set() }
  }

  private memberFor(server: RingNode): Member {
    const name = addressText(server)
    const { createNode, createHealth } = this.options
    const member = this.open.get(name) ?? {
      node: createNode(server),
      health: createHealth(name),
      busy: 0,
      hasLeft: false,
      isProbed: false,
    }
    this.open.set(name, member)
    return member
  }

  private remember(view: View): void {
    if (this.former.length >= WARMUP_VIEWS_MAX) this.hasForgotten = true
    this.former = [view, ...this.former].slice(0, WARMUP_VIEWS_MAX)
    const forget = () => {
      this.hasForgotten = true
      this.former = this.former.filter(other => other !== view)
      for (const member of [...this.open.values()]) this.closeIfDone(member)
    }
    setTimeout(forget, this.options.warmupMs).unref()
  }

  private isRemembered(member: Member): boolean {
    return this.former.some(({ members, lost }) => members.includes(member) && !lost.has(member))
  }

  private closeIfDone(member: Member): void {
    if (member.busy > 0 || !member.hasLeft || this.isRemembered(member)) return
    const { node } = member
    // After it was closed, another member may have got its name.
    if (this.open.get(node.name) === member) this.open.delete(node.name)
    node.close()
  }

  private async answers(node: PoolNode, restMs = 0): Promise<boolean> {
    const { signal } = this.closing
    if (restMs > 0) await sleep(restMs, undefined, { signal, ref: false }).catch(() => {})
    return node.probe(this.options.probeMs).then(
      () => true,
      () => false,
    )
  }

  /** Probes an ejected server until it answers or has left. One loop per server. */
  private async probe(member: Member): Promise<void> {
    const { node, health } = member
    const { signal } = this.closing
    if (member.isProbed) return
    member.isProbed = true
    while (!health.isUp() && !member.hasLeft) {
      await sleep(health.rest(), undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      const isBack = (await this.answers(node)) && (await this.answers(node, SETTLE_MS))
      if (signal.aborted) return
      if (isBack) health.succeed(performance.now())
      else health.fail(performance.now())
    }
    member.isProbed = false
  }
}

/** Whether an error means that the server could not be reached, not that it refused. */
export function isAway(error: unknown): error is CacheError {
  return error instanceof CacheError && AWAY_CODES.has(error.code)
}

const AWAY_CODES = new Set(['TIMEOUT', 'CONNECTION', 'PROTOCOL'])
