// The scaler: looks at the pool, decides, and changes it, one step after the other. It knows no
// socket, no process and no clock but those it is given.
//
//   who acts?  -> nodes of the driver -> start again what died -> tell clients -> look -> decide
//   out        driver adds nodes; at the next tick they are new: (warm) tell clients, wait until
//              they know, then move what belongs to the new nodes
//   in         choose the node whose loss is the least; tell clients, wait, drain it, end it
//
// What fails is told and tried again after a pause that doubles. The state is the driver's nodes
// and what clients were told: a scaler that takes over in the middle of a change announces nodes
// that are not announced, and first of all moves items to where they belong.

import type { Seat } from './acting/seat.ts'
import type { Announcer } from './announce/announcer.ts'
import type { Config } from './config/schema.ts'
import { Schedule } from './decide/bounds.ts'
import { Decider, type Decision, type Kind } from './decide/decide.ts'
import type { NodeLook } from './decide/look.ts'
import { leastLoss } from './decide/loss.ts'
import { decisionText, leavingText } from './decision-text.ts'
import type { Driver } from './drivers/driver.ts'
import { MISSING_MS_MIN, MOVE_REST_MS, MOVE_ROUNDS_MAX } from './limits.ts'
import type { Moving } from './pool/mover.ts'
import type { Watching } from './pool/node-watch.ts'
import type { Clock } from './scale-clock.ts'

export interface Parts {
  clock: Clock
  seat: Seat
  driver: Driver
  announcer: Announcer
  watch: Watching
  mover: Moving
  /** One line. */
  tell(line: string): void
}

/** What a step was about, for the count of failures. */
export type Step = 'driver' | 'announce' | 'move' | 'metrics'

/** What happened since the start, for metrics. */
export interface Tally {
  isActing: boolean
  /** Of the last look. */
  looks: readonly NodeLook[]
  decision: Decision | null
  lookedAtMs: number
  changes: Record<Exclude<Kind, 'hold'>, number>
  failures: Record<Step, number>
  restarted: number
  itemsMoved: number
}

export class Scaler {
  readonly tally: Tally = {
    isActing: false,
    looks: [],
    decision: null,
    lookedAtMs: 0,
    changes: { out: 0, in: 0 },
    failures: { driver: 0, announce: 0, move: 0, metrics: 0 },
    restarted: 0,
    itemsMoved: 0,
  }
  private readonly config: Config
  private readonly parts: Parts
  private readonly schedule: Schedule
  /** Only decides. */
  private readonly isDry: boolean
  private decider: Decider
  /** What clients were told last; null: that is not known. */
  private announced: readonly string[] | null = null
  /** Not everybody has heard it. */
  private isUntold = false
  /** Some nodes may have items that belong to others. */
  private isUneven = false
  /** A node that is drained, and that the driver still has to end. */
  private drained: string | null = null
  /** How many nodes there should be, as it was decided last. */
  private desired: number | null = null
  private missingSinceMs: number | null = null
  /** The driver did not say which nodes there are. */
  private isBlind = false
  private failuresInARow = 0
  private nextTryMs = 0
  private told = ''

  constructor(config: Config, parts: Parts, isDry = false) {
    this.config = config
    this.parts = parts
    this.isDry = isDry
    this.schedule = new Schedule(config, config.schedule)
    this.decider = new Decider(config, parts.clock.nowMs())
  }

  /** Runs until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.tick(signal)
      await this.parts.clock.sleep(this.config.every, signal).catch(() => {})
    }
  }

  /** One look and what follows from it. Never rejects. */
  async tick(stop: AbortSignal): Promise<void> {
    const term = this.isDry ? stop : this.parts.seat.term()
    if (term === null) return this.standBy()
    if (!this.tally.isActing) this.begin()
    const signal = AbortSignal.any([term, stop])
    const { failuresInARow } = this
    try {
      await this.step(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    if (this.failuresInARow === failuresInARow && !this.isResting()) this.failuresInARow = 0
  }

  private standBy(): void {
    this.tally.isActing = false
    this.tally.decision = null
    this.tally.looks = []
  }

  /** Nobody knows what another scaler did meanwhile. */
  private begin(): void {
    this.tally.isActing = true
    this.decider = new Decider(this.config, this.parts.clock.nowMs())
    this.announced = null
    this.drained = null
    this.desired = null
    this.missingSinceMs = null
    this.isUntold = false
    // It may have died before all items were where they belong.
    this.isUneven = true
  }

  private async step(signal: AbortSignal): Promise<void> {
    const { clock, driver, watch } = this.parts
    if (this.isBlind && this.isResting()) return
    const found = await this.attempt('driver', signal, () => driver.nodes(signal))
    this.isBlind = found === undefined
    if (found === undefined) return
    const nodes = this.isDry ? found : await this.settle(found, signal)
    if (nodes === null) return
    const looks = await watch.look(nodes)
    signal.throwIfAborted()
    const nowMs = clock.nowMs()
    const isSteady = this.isSteady(nodes.length, nowMs)
    const decision = this.decider.decide(looks, this.schedule.boundsAt(nowMs), nowMs, isSteady)
    Object.assign(this.tally, { looks, decision, lookedAtMs: nowMs })
    this.countUnread(looks)
    if (decision.kind === 'hold') return this.tellHeld(decision)
    if (this.isResting()) return this.tellHeld({ ...decision, reason: 'waits after a failure' })
    if (this.isDry) return this.wouldChange(decision, nowMs)
    if (decision.kind === 'out') await this.grow(decision, nodes, signal)
    else await this.shrink(decision, looks, signal)
  }

  /** Brings to an end what was begun. Resolves with the nodes to look at; null: it has failed. */
  private async settle(
    found: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[] | null> {
    const { driver } = this.parts
    if (this.drained !== null && !found.includes(this.drained)) this.drained = null
    const { drained } = this
    const nodes = found.filter(name => name !== drained)
    if (this.isResting()) return nodes
    const repaired = await this.attempt('driver', signal, () => driver.repair(signal))
    for (const name of repaired ?? []) this.tellNow(`${name} had died and was started again`)
    this.tally.restarted += repaired?.length ?? 0
    // Those that came back know nothing.
    if (repaired === undefined || repaired.length > 0) this.isUntold = true
    if (drained !== null) await this.end(drained, found, signal)
    return (await this.converge(nodes, signal)) ? nodes : null
  }

  // ---- telling clients

  /** Has clients use exactly these nodes. Resolves with false where that failed. */
  private async converge(nodes: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { announcer, clock } = this.parts
    // Nobody is told of a pool without nodes: that is no news to act on.
    if (nodes.length === 0) return true
    if (this.announced === null) {
      const seen = await this.attempt('announce', signal, () => announcer.seen(nodes, signal))
      if (seen === undefined) return false
      // Where nobody knows, clients are told, and taken to know all of them already.
      this.isUntold ||= seen === null
      this.announced = seen ?? nodes
    }
    const before = this.announced.filter(name => nodes.includes(name))
    const arrived = nodes.filter(name => !before.includes(name))
    const isChanged = arrived.length > 0 || before.length < this.announced.length
    if (isChanged || this.isUntold) {
      for (const name of arrived) await this.warm(name, before, signal)
      const isHeard = await this.attempt('announce', signal, () =>
        announcer.announce(nodes, [], signal),
      )
      if (isHeard === undefined) return false
      this.announced = nodes
      this.isUntold = !isHeard
      if (arrived.length > 0) this.tellNow(`clients are told of ${arrived.join(', ')}`)
      this.isUneven ||= arrived.length > 0 && before.length > 0
    }
    if (!this.isUneven) return true
    if (nodes.length < 2) {
      this.isUneven = false
      return true
    }
    await clock.sleep(this.config.announce.settle, signal)
    return this.even(nodes, signal)
  }

  private async warm(name: string, others: readonly string[], signal: AbortSignal): Promise<void> {
    if (this.config.warm === 0 || others.length === 0) return
    const copied = await this.attempt('move', signal, () =>
      this.parts.mover.warm(name, others, signal),
    )
    // Without that it is colder, and no worse.
    if (copied !== undefined) this.tellNow(`${name} is warmed with ${copied} items`)
  }

  /** Moves to each node what belongs to it. Resolves with false where that failed. */
  private async even(nodes: readonly string[], signal: AbortSignal): Promise<boolean> {
    const done = await this.attempt('move', signal, () => this.drainAll(nodes, nodes, signal))
    this.isUneven = done === undefined
    return done !== undefined
  }

  /**
   * Moves what these nodes have of others' items. Clients ask previous owners for a short time
   * only, so that one that fails does not hold up the others, and is tried again soon.
   */
  private async drainAll(
    from: readonly string[],
    nodes: readonly string[],
    signal: AbortSignal,
  ): Promise<number> {
    let left = from
    let total = 0
    for (let round = 0; left.length > 0; round++) {
      const failed: string[] = []
      let reason: unknown
      for (const name of left) {
        try {
          const moved = await this.parts.mover.drain(name, nodes, signal)
          total += moved
          this.tally.itemsMoved += moved
        } catch (error) {
          signal.throwIfAborted()
          failed.push(name)
          reason = error
        }
      }
      if (failed.length > 0 && round === MOVE_ROUNDS_MAX) throw reason
      left = failed
      if (left.length > 0) await this.parts.clock.sleep(MOVE_REST_MS * 2 ** round, signal)
    }
    return total
  }

  // ---- changing the pool

  private async grow(decision: Decision, nodes: readonly string[], signal: AbortSignal) {
    const { driver, clock } = this.parts
    // Never fewer than there should be already: some may only be missing from the list.
    const to = Math.max(decision.to, this.desired ?? 0)
    this.tellNow(decisionText(decision))
    // One that is drained and still there comes back first.
    this.drained = null
    this.desired = to
    const grown = await this.attempt('driver', signal, async () => {
      await driver.grow(to, nodes, signal)
      return true
    })
    if (grown === undefined) return
    this.decider.changed('out', clock.nowMs())
    this.tally.changes.out++
    const now = await this.attempt('driver', signal, () => driver.nodes(signal))
    if (now !== undefined) await this.converge(now, signal)
  }

  private async shrink(decision: Decision, looks: readonly NodeLook[], signal: AbortSignal) {
    const { announcer, clock } = this.parts
    const leaving = leastLoss(looks, this.config.leave)
    if (leaving === null) return this.tellHeld({ ...decision, reason: 'no node can be read' })
    const { name } = leaving
    const all = looks.map(look => look.name)
    this.tellNow(`${decisionText(decision)}; ${leavingText(leaving, this.config.leave)}`)
    const rest = all.filter(other => other !== name)
    const heard = await this.attempt('announce', signal, () =>
      announcer.announce(rest, [name], signal),
    )
    // The next tick announces it again, or tells those that heard nothing.
    if (heard === undefined) this.isUntold = true
    else this.announced = rest
    if (heard === undefined) return
    this.isUntold = !heard
    await clock.sleep(this.config.announce.settle, signal)
    const moved = await this.attempt('move', signal, () => this.drainAll([name], rest, signal))
    if (moved === undefined) {
      // It has items that nobody else has: clients need it again, at once.
      await this.converge(all, signal)
      return
    }
    this.tellNow(`${name} is drained of ${moved} items`)
    this.drained = name
    this.desired = rest.length
    await this.end(name, all, signal)
  }

  /** Ends a node that is drained. After a failure the next tick tries again. */
  private async end(name: string, nodes: readonly string[], signal: AbortSignal): Promise<void> {
    const { driver, clock } = this.parts
    const to = nodes.filter(other => other !== name).length
    const isGone = await this.attempt('driver', signal, async () => {
      await driver.remove(name, to, nodes, signal)
      return true
    })
    if (isGone === undefined) return
    this.drained = null
    this.decider.changed('in', clock.nowMs())
    this.tally.changes.in++
    this.tellNow(`${name} has ended`)
  }

  private wouldChange(decision: Decision, nowMs: number): void {
    const { kind } = decision
    if (kind === 'hold') return
    const leaving = kind === 'in' ? leastLoss(this.tally.looks, this.config.leave) : null
    const who = leaving === null ? '' : `; ${leavingText(leaving, this.config.leave)}`
    this.tellNow(`would scale ${decisionText(decision)}${who}`)
    this.decider.changed(kind, nowMs)
  }

  /** Whether all nodes are there. A number that is wrong for long enough is the new one. */
  private isSteady(count: number, nowMs: number): boolean {
    this.desired ??= count
    if (count === this.desired && this.drained === null) {
      this.missingSinceMs = null
      return true
    }
    this.missingSinceMs ??= nowMs
    const longMs = Math.max(MISSING_MS_MIN, this.config.window.in)
    const isLong = nowMs - this.missingSinceMs >= longMs
    // More than there should be are somebody's wish.
    if (count > this.desired || isLong) this.desired = count
    return false
  }

  // ---- failures, and what is told

  /** Undefined: it failed. Rejects only where the signal has aborted. */
  private async attempt<T>(
    step: Step,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      const result = await work()
      signal.throwIfAborted()
      return result
    } catch (error) {
      signal.throwIfAborted()
      const { first, most } = this.config.backoff
      const restMs = Math.min(most, first * 2 ** this.failuresInARow)
      this.failuresInARow++
      this.nextTryMs = this.parts.clock.nowMs() + restMs
      this.tally.failures[step]++
      const reason = error instanceof Error ? error.message : String(error)
      this.tellNow(`${step} failed: ${reason}; again in ${Math.round(restMs / 100) / 10} s`)
      return undefined
    }
  }

  private isResting(): boolean {
    return this.parts.clock.nowMs() < this.nextTryMs
  }

  private countUnread(looks: readonly NodeLook[]): void {
    const unread = looks.filter(({ figures }) => figures === null)
    this.tally.failures.metrics += unread.length
  }

  private tellNow(line: string): void {
    this.told = ''
    this.parts.tell(line)
  }

  /** What is not done is told where its reason changes, not at every look. */
  private tellHeld(decision: Decision): void {
    const { from, bounds, reason } = decision
    const form = `${from} ${reason} ${bounds.least} ${bounds.most}`
    if (form === this.told) return
    this.told = form
    this.parts.tell(decisionText({ ...decision, kind: 'hold' }))
  }
}
