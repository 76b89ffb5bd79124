// Checks of arguments, for both doors (LocalCache and ClusterClient) and the strategies, before
// anything is done or sent. A wrong argument throws CacheError ARGUMENT, whose message has the
// argument's name, what it may be and what it was.

import { RELATIVE_S_MAX } from '../bytes/memcached.ts'
import { isKind, type Serializer } from '../serializer.ts'
import { CacheError } from './errors.ts'
import type { LeaseOptions, ReadOptions } from './types.ts'

export const READ_NAMES = ['as'] as const
export const EXPIRY_NAMES = ['ttlS', 'expiresAt'] as const
export const SET_NAMES = [...EXPIRY_NAMES, 'flags'] as const
export const TOUCHING_READ_NAMES = [...EXPIRY_NAMES, ...READ_NAMES] as const
export const COUNT_NAMES = [...EXPIRY_NAMES, 'initial'] as const
export const DELETE_NAMES = ['cas'] as const
export const LEASE_NAMES = ['claimS', 'recacheS', ...READ_NAMES] as const
export const FLUSH_NAMES = ['delayS'] as const

const UINT_32_MAX = 2 ** 32 - 1
const TWO_64 = 2n ** 64n
/** The longest time of a timer in Node, ms; with more it fires at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1
const SHOWN_CHARS_MAX = 40

export type Names = readonly string[]

/** ARGUMENT: `what` must be `wanted`, but is `given`. */
export function refuse(what: string, wanted: string, given: unknown): never {
  throw new CacheError('ARGUMENT', `${what}: ${wanted}, not ${shown(given)}`)
}

/** Accepts an object with only these options, or undefined. */
export function checkOptions(options: unknown, names: Names): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    refuse('options', `an object with ${names.join(', ')}`, options)
  }
  for (const name in options) if (!names.includes(name)) refuseName(name, names)
}

function refuseName(name: string, names: Names): never {
  const shownName = shown(name).slice(1, -1)
  throw new CacheError('ARGUMENT', `no option ${shownName}; there are ${names.join(', ')}`)
}

/** Whether bytes are requested instead of the value. */
export function wantsBytes(options: ReadOptions | undefined, names: Names = READ_NAMES): boolean {
  if (options === undefined) return false
  checkOptions(options, names)
  const { as } = options
  if (as !== undefined && as !== 'value' && as !== 'bytes') refuse('as', "'value' or 'bytes'", as)
  return as === 'bytes'
}

export function checkFlags(flags: unknown): void {
  if (flags === undefined) return
  const isFlags =
    Number.isInteger(flags) && (flags as number) >= 0 && (flags as number) <= UINT_32_MAX
  if (!isFlags) refuse('flags', 'a whole number of 32 bits', flags)
}

/** `end`: the first number that is no version. */
export function checkCas(cas: unknown, end = TWO_64): void {
  if (typeof cas === 'bigint' && cas >= 0n && cas < end) return
  refuse('cas', 'a version as getItem gives it, a bigint', cas)
}

/** A whole number of 64 bits. */
export function amountOf(what: string, amount: unknown): bigint {
  const isWhole = typeof amount === 'bigint' || Number.isSafeInteger(amount)
  if (isWhole) {
    const whole = BigInt(amount as bigint | number)
    if (whole >= 0n && whole < TWO_64) return whole
  }
  return refuse(what, 'a whole number from 0 to 2^64 - 1', amount)
}

/** As amountOf; undefined if there is none. */
export function initialOf(options: { initial?: unknown } | undefined): bigint | undefined {
  const initial = options?.initial
  return initial === undefined ? undefined : amountOf('initial', initial)
}

/** Accepts text or bytes, to append or prepend. */
export function checkPiece(piece: unknown): void {
  if (typeof piece === 'string' || piece instanceof Uint8Array) return
  throw new CacheError('VALUE', `a piece of a value: a string or bytes, not ${shown(piece)}`)
}

/** TTL of a claim and the recache margin, whole seconds. */
export function claimOf(options: LeaseOptions): { claimS: number; recacheS: number } {
  if (options === undefined) refuse('options', 'an object with claimS', options)
  checkOptions(options, LEASE_NAMES)
  const { claimS, recacheS = 0 } = options
  if (!(isNumber(claimS) && claimS > 0 && claimS <= RELATIVE_S_MAX)) {
    refuse('claimS', 'seconds above 0, at most 30 days', claimS)
  }
  if (!(isNumber(recacheS) && recacheS >= 0 && recacheS < Number.POSITIVE_INFINITY)) {
    refuse('recacheS', 'seconds from 0 up', recacheS)
  }
  return { claimS: Math.ceil(claimS), recacheS: Math.ceil(recacheS) }
}

export function delayOf(options: { delayS?: number | undefined } | undefined): number {
  checkOptions(options, FLUSH_NAMES)
  const { delayS = 0 } = options ?? {}
  if (Number.isInteger(delayS) && delayS >= 0 && delayS <= RELATIVE_S_MAX) return delayS
  return refuse('delayS', 'whole seconds from 0 up, at most 30 days', delayS)
}

/** The keys of a call for many. A string is iterable too, but is refused. */
export function checkKeys(keys: unknown): void {
  const isIterable = typeof keys === 'object' && keys !== null && Symbol.iterator in keys
  if (!isIterable) refuse('keys', 'a list of keys', keys)
}

/** Accepts a serializer: it encodes, decodes, and has its own kind of values. */
export function checkSerializer(serializer: unknown): void {
  if (serializer === undefined) return
  const { flags, encode, decode } = (serializer ?? {}) as Partial<Serializer>
  const isOne = typeof encode === 'function' && typeof decode === 'function'
  if (isOne && typeof flags === 'number' && isKind(flags)) return
  refuse('serializer', 'flags of a kind of values, encode and decode', serializer)
}

/** `options[name]`, a finite number within these bounds, or `missing` if it is not given. */
export function numberOption<O extends object>(
  options: O,
  name: keyof O & string,
  missing: number,
  [min, max]: readonly [min: number, max: number],
): number {
  const given: unknown = options[name] === undefined ? missing : options[name]
  if (isNumber(given) && given >= min && given <= max) return given
  return refuse(name, `a number ${rangeOf(min, max)}`, given)
}

/** As numberOption, for whole numbers. */
export function countOption<O extends object>(
  options: O,
  name: keyof O & string,
  missing: number,
  bounds: readonly [min: number, max: number],
): number {
  const given: unknown = options[name] === undefined ? missing : options[name]
  if (Number.isInteger(given)) return numberOption(options, name, missing, bounds)
  return refuse(name, `a whole number ${rangeOf(...bounds)}`, given)
}

/** One of these, or undefined. */
export function checkChoice(what: string, given: unknown, choices: readonly unknown[]): void {
  if (given === undefined || choices.includes(given)) return
  refuse(what, choices.map(shown).join(' or '), given)
}

/** Of this type, or undefined. */
export function checkType(what: string, given: unknown, type: 'function' | 'string' | 'boolean') {
  if (given !== undefined && typeof given !== type) refuse(what, `a ${type}`, given)
}

function rangeOf(min: number, max: number): string {
  const from = min === Number.MIN_VALUE ? 'above 0' : `from ${min}`
  return max >= Number.MAX_SAFE_INTEGER ? `${from} up` : `${from} to ${max}`
}

function isNumber(given: unknown): given is number {
  return typeof given === 'number'
}

/** A value in a message: short, and on one line. */
export function shown(given: unknown): string {
  if (typeof given === 'bigint') return `${given}n`
  if (typeof given === 'function') return 'a function'
  if (typeof given === 'object' && given !== null) {
    return Array.isArray(given) ? 'a list' : 'an object'
  }
  const text = typeof given === 'string' ? JSON.stringify(given) : String(given)
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}...` : text
}
