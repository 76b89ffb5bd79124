// What somebody may do: categories of commands, and the beginnings of keys. Independent of
// protocols: each says which category its commands are in.
//
//   +read +write +admin     categories
//   ~orders:                keys that begin with `orders:`; several are alternatives, none is all
//                           keys. %HH is the byte HH
//
// A check of a key compares bytes and allocates nothing.

import { PREFIX_BYTES_MAX, PREFIXES_MAX } from './limits.ts'

/** Categories, as bits: a command may need more than one. */
export const Need = { NOTHING: 0, READ: 1, WRITE: 2, ADMIN: 4 } as const

const BITS = { read: Need.READ, write: Need.WRITE, admin: Need.ADMIN } as const

export class Rights {
  /** Bits of Need. */
  readonly categories: number
  /** Alternatives; empty: all keys. */
  readonly prefixes: readonly Uint8Array[]

  constructor(categories: number, prefixes: readonly Uint8Array[]) {
    this.categories = categories
    this.prefixes = prefixes
  }

  /** Whether every key may be written. */
  get mayWriteAll(): boolean {
    return (this.categories & Need.WRITE) !== 0 && this.prefixes.length === 0
  }

  /** Whether all of these categories are allowed. */
  may(needs: number): boolean {
    return (needs & ~this.categories) === 0
  }

  /** Whether a command of these categories may name the key [start, start + length). */
  mayKey(needs: number, bytes: Uint8Array, start: number, length: number): boolean {
    if ((needs & ~this.categories) !== 0) return false
    const { prefixes } = this
    if (prefixes.length === 0) return true
    for (let i = 0; i < prefixes.length; i++) {
      if (beginsWith(prefixes[i], bytes, start, length)) return true
    }
    return false
  }

  /** What both allow; null: they have no key in common. */
  within(most: Rights): Rights | null {
    const categories = this.categories & most.categories
    if (most.prefixes.length === 0) return new Rights(categories, this.prefixes)
    if (this.prefixes.length === 0) return new Rights(categories, most.prefixes)
    const prefixes = this.prefixes.flatMap(own =>
      most.prefixes.flatMap(other => narrower(own, other)),
    )
    return prefixes.length === 0 ? null : new Rights(categories, prefixes)
  }
}

/** Of somebody who may do nothing. */
export const NO_RIGHTS = new Rights(0, [])

/** Whether a word is one of rights. */
export function isRight(word: string): boolean {
  return word.startsWith('+') || word.startsWith('~')
}

/** Reads words of rights. Throws an Error of one line. */
export function readRights(words: readonly string[]): Rights {
  let categories = 0
  const prefixes: Uint8Array[] = []
  for (const word of words) {
    if (word.startsWith('~')) {
      prefixes.push(readPrefix(word.slice(1)))
      continue
    }
    const name = word.slice(1)
    if (!word.startsWith('+') || !Object.hasOwn(BITS, name)) {
      throw new Error(`"${word}" is none of +read, +write, +admin and ~prefix`)
    }
    categories |= BITS[name as keyof typeof BITS]
  }
  if (prefixes.length > PREFIXES_MAX) throw new Error(`more than ${PREFIXES_MAX} prefixes`)
  return new Rights(categories, prefixes)
}

function readPrefix(text: string): Uint8Array {
  const parts = text.split(/%([0-9A-Fa-f]{2})/)
  // Every second part is what the brackets matched.
  const bytes = Buffer.concat(
    parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.from(part, 'hex'))),
  )
  if (bytes.length === 0) throw new Error('a prefix is empty; without prefixes all keys are meant')
  if (bytes.length > PREFIX_BYTES_MAX) throw new Error('a prefix is longer than any key')
  return bytes
}

function beginsWith(prefix: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  const { length: prefixBytes } = prefix
  if (prefixBytes > length) return false
  for (let i = 0; i < prefixBytes; i++) {
    if (bytes[start + i] !== prefix[i]) return false
  }
  return true
}

/** The longer of two prefixes if it begins with the other. */
function narrower(a: Uint8Array, b: Uint8Array): Uint8Array[] {
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  return beginsWith(short, long, 0, long.length) ? [long] : []
}
