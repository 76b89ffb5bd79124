// Which node leaves: the one whose loss costs least, by hits a second, items or memory. Pure.

import type { Loss } from '../config/schema.ts'
import type { Figures, NodeLook } from './look.ts'

export interface Leaving {
  name: string
  figures: Figures
}

/** Ties are decided by the next measure. */
const ORDER: Readonly<Record<Loss, readonly (keyof Figures)[]>> = {
  hits: ['hits', 'items', 'bytes'],
  items: ['items', 'hits', 'bytes'],
  memory: ['bytes', 'hits', 'items'],
}

/** Null: of no node it is known what its loss costs. */
export function leastLoss(nodes: readonly NodeLook[], by: Loss): Leaving | null {
  const [first, ...others] = ORDER[by]
  const known = nodes.flatMap(({ name, figures }) =>
    figures === null || figures[first] === null ? [] : [{ name, figures }],
  )
  const costOf = ({ figures }: Leaving, measure: keyof Figures) => Number(figures[measure] ?? 0)
  known.sort((a, b) => {
    for (const measure of [first, ...others]) {
      const difference = costOf(a, measure) - costOf(b, measure)
      if (difference !== 0) return difference
    }
    return a.name < b.name ? 1 : -1
  })
  return known[0] ?? null
}
