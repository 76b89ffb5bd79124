// Converts 64-bit numbers between the in-process door, which uses bigints, and the engine, which
// uses pairs of numbers: two 32-bit words for a CAS, two limbs of ten digits for a counter
// (decimal.ts).

export interface Pair {
  high: number
  low: number
}

const LIMB = 10n ** 10n
const NO_CAS: Pair = { high: 0, low: 0 }

/** A CAS from the words of an item. */
export function joinWords(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}

/** A CAS as the words of an item. */
export function wordsOf(cas: bigint): Pair {
  if (cas === 0n) return NO_CAS
  return { high: Number(BigInt.asIntN(32, cas >> 32n)), low: Number(BigInt.asIntN(32, cas)) }
}

/** A number from 0 to 2^64 - 1 as limbs. */
export function limbsOf(number: bigint): Pair {
  return { high: Number(number / LIMB), low: Number(number % LIMB) }
}

export function decimalOf({ high, low }: Pair): bigint {
  return BigInt(high) * LIMB + BigInt(low)
}
