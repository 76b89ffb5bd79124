// Looks at the pool -> how many nodes it should have. Pure but for what it remembers of former
// looks. The rules that keep it from swinging:
//
//   out   any policy wants more, in every look of `window.out`; by the least of what they wanted
//   in    all policies want fewer, in every look of `window.in`; one node at a time. Every node has
//         to be read, now and in at least half of these looks.
//   rest  `cooldown.out` after the last growth; `cooldown.in` after the last change of either kind
//
// least and most need neither: a pool outside of them is brought back at once.

import type { Config } from '../config/schema.ts'
import { LOOKS_MISSED_MAX } from '../limits.ts'
import type { Bounds } from './bounds.ts'
import type { NodeLook } from './look.ts'
import { type Want, wantsOf } from './policies.ts'

export type Kind = 'out' | 'in' | 'hold'

export interface Decision {
  kind: Kind
  from: number
  to: number
  wants: readonly Want[]
  bounds: Bounds
  /** Why it is not more, or fewer; empty: nobody wants that. */
  reason: string
}

/** What one look wanted of the pool. */
interface Wanted {
  atMs: number
  /** Null: no policy knew anything. */
  more: number | null
  /** Null: a policy did not know the figure of every node. */
  fewer: number | null
}

export class Decider {
  private readonly config: Config
  private history: Wanted[] = []
  private grownMs = Number.NEGATIVE_INFINITY
  private changedMs: number

  /** It shrinks nothing in the first `cooldown.in`: nobody knows what was before. */
  constructor(config: Config, nowMs: number) {
    this.config = config
    this.changedMs = nowMs
  }

  /** `isSteady` false: nodes are missing or on their way, so it must not shrink. */
  decide(nodes: readonly NodeLook[], bounds: Bounds, nowMs: number, isSteady: boolean): Decision {
    const from = nodes.length
    const wants = wantsOf(nodes, this.config)
    this.remember(from, wants, nowMs)
    const decision = { kind: 'hold' as const, from, to: from, wants, bounds, reason: '' }
    if (from < bounds.least) {
      return { ...decision, kind: 'out', to: bounds.least, reason: 'least' }
    }
    if (from > bounds.most) {
      if (!isSteady) return { ...decision, reason: 'nodes are missing' }
      return { ...decision, kind: 'in', to: from - 1, reason: 'most' }
    }
    return this.byPolicies(decision, nowMs, isSteady)
  }

  /** The pool has changed: cooldowns begin. */
  changed(kind: Exclude<Kind, 'hold'>, nowMs: number): void {
    this.changedMs = nowMs
    if (kind === 'out') this.grownMs = nowMs
  }

  private byPolicies(decision: Decision, nowMs: number, isSteady: boolean): Decision {
    const { from, bounds } = decision
    const { window, cooldown, step } = this.config
    const [now] = this.history.slice(-1)
    const isMore = now.more !== null && now.more > from
    if (isMore) {
      if (from >= bounds.most) return { ...decision, reason: 'at most' }
      const lowest = this.lowest(nowMs - window.out)
      if (lowest <= from) return { ...decision, reason: 'window out' }
      const restMs = this.grownMs + cooldown.out - nowMs
      if (restMs > 0) return { ...decision, reason: 'cooldown out' }
      return { ...decision, kind: 'out', to: Math.min(lowest, from + step, bounds.most) }
    }
    if (now.fewer === null) return { ...decision, reason: 'not all is known' }
    if (now.fewer >= from) return decision
    if (from <= bounds.least) return { ...decision, reason: 'at least' }
    if (!isSteady) return { ...decision, reason: 'nodes are missing' }
    if (this.highest(nowMs - window.in) >= from) return { ...decision, reason: 'window in' }
    const restMs = this.changedMs + cooldown.in - nowMs
    if (restMs > 0) return { ...decision, reason: 'cooldown in' }
    return { ...decision, kind: 'in', to: from - 1 }
  }

  /** What every look since then wanted at least; 0 where the looks do not reach that far. */
  private lowest(sinceMs: number): number {
    const looks = this.since(sinceMs)
    const known = looks.flatMap(({ more }) => more ?? [])
    return looks.length === 0 || known.length * 2 < looks.length ? 0 : Math.min(...known)
  }

  /** What looks since then wanted at most; infinite where they do not reach that far. */
  private highest(sinceMs: number): number {
    const looks = this.since(sinceMs)
    const known = looks.flatMap(({ fewer }) => fewer ?? [])
    const isKnown = looks.length > 0 && known.length * 2 >= looks.length
    return isKnown ? Math.max(...known) : Number.POSITIVE_INFINITY
  }

  /** The looks since then, with the one that was the last before it; none without that one. */
  private since(sinceMs: number): Wanted[] {
    const first = this.history.findLastIndex(({ atMs }) => atMs <= sinceMs)
    return first < 0 ? [] : this.history.slice(first)
  }

  private remember(count: number, wants: readonly Want[], nowMs: number): void {
    const { every, window } = this.config
    const last = this.history.at(-1)
    if (last !== undefined && nowMs - last.atMs > LOOKS_MISSED_MAX * every) this.history = []
    const known = wants.flatMap(({ nodes }) => nodes ?? [])
    const more = known.length === 0 ? null : Math.max(...known)
    const isComplete = wants.every(({ isComplete }) => isComplete)
    // That more are needed is known without the others.
    const isKnown = isComplete || (more ?? 0) > count
    this.history.push({ atMs: nowMs, more, fewer: isKnown ? more : null })
    const oldestMs = nowMs - Math.max(window.out, window.in)
    const first = this.history.findLastIndex(({ atMs }) => atMs <= oldestMs)
    if (first > 0) this.history.splice(0, first)
  }
}
