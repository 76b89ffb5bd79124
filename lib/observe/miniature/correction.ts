// Corrects what the simulation says by what is known of the present size.
//
// Two things are wrong with it. The sample misses more or less than all keys do: that is known, and
// taken for the same at all sizes. And a miniature cache misses more or less than a cache of its
// size, because its memory goes further, or not as far. So the present size is looked for on the
// simulated curve, where it misses what the sample does in the cache, and all sizes are moved as
// far along the curve:
//
//   missed |\   simulated                  where the curve is flat, as at sizes that hold all keys,
//          | \                             nothing changes
//          |  o<--x present, in the cache
//          |   `--.______
//          +---------------> memory, in doublings

/** How far, at most, doublings. Farther is chance: the curve is nearly flat there. */
const MOVE_MAX = 0.5

/**
 * The part of it that counts at larger sizes: they are less short of pages. Fitted to forty runs of
 * generated traces (`npm run bench:mrc -- --seed`), as MOVE_MAX is.
 */
const PART_LARGER = 0.55

/** How steep the curve is beyond the largest size, as a part of what it is before it. */
const BEND = 0.5

/** Shares of lookups, 0 to 1. */
export interface Simulated {
  /** Missed by size; each has twice the memory of the one before. */
  ratios: readonly number[]
  /** Which of them is the present size. */
  present: number
  /** What the cache missed of the sampled keys, and of all keys. */
  ofSample: number
  ofAll: number
}

/** What the sizes are expected to miss: the present one `ofAll`, none more than a smaller one. */
export function corrected({ ratios, present, ofSample, ofAll }: Simulated): number[] {
  const falling = inOrder(ratios, present)
  const move = moveTo(falling, present, ofSample)
  const expected = falling.map((_, size) => {
    if (size === present) return ofAll
    const part = size > present ? PART_LARGER : 1
    return Math.min(1, at(falling, size + move * part) * (ofAll / ofSample))
  })
  return inOrder(expected, present)
}

/** More memory never misses more. Where chance says otherwise, the size next to it counts. */
export function inOrder(ratios: readonly number[], present: number): number[] {
  const falling = [...ratios]
  for (let size = present + 1; size < falling.length; size++) {
    falling[size] = Math.min(falling[size], falling[size - 1])
  }
  for (let size = present - 1; size >= 0; size--) {
    falling[size] = Math.max(falling[size], falling[size + 1])
  }
  return falling
}

/** How far from the present size a simulated cache misses so much, doublings. */
function moveTo(falling: readonly number[], present: number, ratio: number): number {
  const neighbour = falling[present] > ratio ? present + 1 : present - 1
  const difference = falling[neighbour] - falling[present]
  if (difference === 0) return falling[present] === ratio ? 0 : (neighbour - present) * MOVE_MAX
  const share = (ratio - falling[present]) / difference
  return (neighbour - present) * Math.min(share, MOVE_MAX)
}

/** The curve between two sizes, or a little beyond the smallest or the largest one. */
function at(falling: readonly number[], size: number): number {
  const last = falling.length - 1
  if (size > last) {
    const fall = (falling[last - 1] - falling[last]) * BEND
    return Math.max(0, falling[last] - fall * (size - last))
  }
  const from = Math.max(Math.floor(Math.min(size, last - 1)), 0)
  return falling[from] + (falling[from + 1] - falling[from]) * (size - from)
}
