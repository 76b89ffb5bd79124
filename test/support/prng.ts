/**
 * Seeded random numbers for tests. A run is repeated by its seed: MEMSLAB_SEED sets it, otherwise
 * it is drawn, and `announceSeed` prints it either way so that a failure can be replayed.
 */

export interface Random {
  /** A whole number in [0, limit). */
  below(limit: number): number
  /** A whole number in [min, max]. */
  between(min: number, max: number): number
  /** True once in `times` on average. */
  once(times: number): boolean
  pick<T>(list: readonly T[]): T
}

interface Commenter {
  comment(...args: unknown[]): void
}

export function announceSeed(t: Commenter): number {
  const seed = seedFromEnvironment() ?? Math.floor(Math.random() * 2 ** 32)
  t.comment(`seed ${seed} (repeat with MEMSLAB_SEED=${seed})`)
  return seed
}

/** A separate generator for the n-th part of a run, so that a part can be replayed alone. */
export function createRandom(seed: number, part = 0): Random {
  const next = mulberry32((seed ^ Math.imul(part + 1, 0x9e3779b1)) >>> 0)
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    between: (min, max) => min + below(max - min + 1),
    once: times => below(times) === 0,
    pick: list => list[below(list.length)],
  }
}

function seedFromEnvironment(): number | undefined {
  const text = process.env.MEMSLAB_SEED
  if (text === undefined || text === '') return undefined
  const seed = Number(text)
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new Error(`MEMSLAB_SEED is a whole number below 2^32, not ${JSON.stringify(text)}`)
  }
  return seed
}

function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
