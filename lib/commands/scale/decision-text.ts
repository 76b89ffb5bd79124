// What the scaler tells: one line a decision, with its figures.

import type { Decision } from './decide/decide.ts'
import type { Leaving } from './decide/loss.ts'
import type { Want } from './decide/policies.ts'

/** `out 3 to 5: cpu 81.2 of 60 wants 5, room 40.1 of 90 wants 2; from 3 to 9 nodes` */
export function decisionText({ kind, from, to, wants, bounds, reason }: Decision): string {
  const change = kind === 'hold' ? `hold ${from}` : `${kind} ${from} to ${to}`
  const why = reason === '' ? '' : ` (${reason})`
  return `${change}${why}: ${wants.map(wantText).join(', ')}; least ${bounds.least}, most ${bounds.most}`
}

function wantText({ policy, value, target, nodes, isComplete }: Want): string {
  if (value === null || nodes === null) return `${policy} is not known`
  const part = isComplete ? '' : ', of a part of the nodes'
  return `${policy} ${figure(value)} of ${figure(target)} wants ${nodes}${part}`
}

/** `10.0.0.3:11211 leaves, least by hits: 12.1 hits/s, 4200 items, 31 MB` */
export function leavingText({ name, figures }: Leaving, by: string): string {
  const { hits, items, bytes } = figures
  const megabytes = bytes === null ? '?' : figure(bytes / 1e6)
  const cost = `${hits === null ? '?' : figure(hits)} hits/s, ${items ?? '?'} items, ${megabytes} MB`
  return `${name} leaves, least by ${by}: ${cost}`
}

function figure(value: number): string {
  return String(Math.round(value * 10) / 10)
}
