// What each policy wants: how many nodes the pool should have by its figure alone. Pure.
//
//   targets   the sum over the pool, divided by the target of one node, rounded up. The pool only
//             shrinks where it stays below the target by the slack, so that the next look does not
//             want the node back.
//   curve     another node where it brings `gain` points of hit ratio; one fewer where that costs
//             at most `loss` points, which is less
//   room      never wants more nodes; fewer only where their items fit in the others' memory

import type { Config } from '../config/schema.ts'
import type { Curve, Figures, NodeLook } from './look.ts'

export interface Want {
  policy: string
  /** Its figure now, mean of a node; null: nobody knows. */
  value: number | null
  target: number
  /** How many nodes it wants; null: it does not know. */
  nodes: number | null
  /** All nodes had their part in it. Otherwise it may not shrink the pool. */
  isComplete: boolean
}

type Wants = Pick<Config, 'policies' | 'slack' | 'room'>

/** Numbers that differ by less are the same: sums of fractions are not exact. */
const EPSILON = 1e-9

export function wantsOf(nodes: readonly NodeLook[], { policies, slack, room }: Wants): Want[] {
  const share = 1 - slack / 100
  const tracked = (policy: string, target: number | undefined, read: Read): Want[] =>
    target === undefined ? [] : [tracking(policy, nodes, target, share, read)]
  const wants = [
    ...tracked('cpu', policies.cpu, ({ cpu }) => cpu),
    ...tracked('connections', policies.connections, ({ connections }) => connections),
    ...tracked('memory', policies.memory, filledPercent),
    ...tracked('evictions', policies.evictions, ({ evictions }) => evictions),
  ]
  if (policies.curve !== undefined) wants.push(curveWant(nodes, policies.curve))
  // The curve says what less memory costs. Without it no item should be lost.
  else if (room > 0) wants.push(roomWant(nodes, room))
  return wants
}

type Read = (figures: Figures) => number | null

function filledPercent({ bytes, limitBytes }: Figures): number | null {
  return bytes === null || !limitBytes ? null : (100 * bytes) / limitBytes
}

function tracking(
  policy: string,
  nodes: readonly NodeLook[],
  target: number,
  share: number,
  read: Read,
): Want {
  const values = known(nodes, read)
  const isComplete = values.length === nodes.length
  const value = meanOf(values)
  if (value === null) return { policy, value, target, nodes: null, isComplete: false }
  const total = value * nodes.length
  const more = nodesFor(total, target)
  const fewer = nodesFor(total, target * share)
  const wanted = more > nodes.length ? more : Math.min(fewer, nodes.length)
  return { policy, value, target, nodes: wanted, isComplete }
}

function nodesFor(total: number, target: number): number {
  return Math.max(1, Math.ceil(total / target - EPSILON))
}

function roomWant(nodes: readonly NodeLook[], room: number): Want {
  const read = nodes.map(({ figures }) => figures)
  const values = known(nodes, filledPercent)
  const value = meanOf(values)
  const want = { policy: 'room', value, target: room }
  const bytes = known(nodes, figures => figures.bytes)
  const limits = known(nodes, figures => figures.limitBytes)
  const isComplete = bytes.length === read.length && limits.length === read.length
  // The largest node may be the one that leaves.
  const left = sum(limits) - Math.max(0, ...limits)
  if (!isComplete) return { ...want, nodes: null, isComplete }
  const fits = sum(bytes) <= (left * room) / 100
  return { ...want, nodes: fits ? Math.max(1, nodes.length - 1) : nodes.length, isComplete }
}

function curveWant(
  nodes: readonly NodeLook[],
  { gain, loss }: { gain: number; loss: number },
): Want {
  const count = nodes.length
  const curves = nodes.flatMap(({ figures }) => figures?.curve ?? [])
  const isComplete = curves.length === count
  const want = { policy: 'curve', target: gain, isComplete }
  const now = hitPercentAt(curves, 1)
  const more = hitPercentAt(curves, (count + 1) / count)
  if (now === null || more === null) return { ...want, value: null, nodes: null, isComplete: false }
  const fewer = count > 1 ? hitPercentAt(curves, (count - 1) / count) : null
  const brings = more - now
  if (brings >= gain - EPSILON) return { ...want, value: brings, nodes: count + 1 }
  const isDear = fewer === null || now - fewer > loss + EPSILON
  return { ...want, value: brings, nodes: isDear ? count : count - 1 }
}

/** The pool's hit ratio with so many times the memory, by lookups; null where no curve reaches. */
function hitPercentAt(curves: readonly Curve[], memory: number): number | null {
  let lookups = 0
  let hits = 0
  for (const curve of curves) {
    const percent = interpolated(curve.points, memory)
    if (percent === null) return null
    lookups += curve.lookups
    hits += curve.lookups * percent
  }
  return lookups === 0 ? null : hits / lookups
}

/** Between two points it is a line over the logarithm of the memory. */
function interpolated(points: Curve['points'], memory: number): number | null {
  for (const [index, [above, percent]] of points.entries()) {
    if (above === memory) return percent
    if (above < memory) continue
    if (index === 0) return null
    const [below, before] = points[index - 1]
    const share = Math.log(memory / below) / Math.log(above / below)
    return before + share * (percent - before)
  }
  return null
}

function known(nodes: readonly NodeLook[], read: Read): number[] {
  return nodes.flatMap(({ figures }) => (figures === null ? [] : (read(figures) ?? [])))
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : sum(values) / values.length
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0)
}
