// Scans the requests of one input before the first of them runs: finds their keys, hashes them, and
// has the engine prefetch their items, so that the cache misses overlap. What it finds is only a
// guess. A request that runs asks for the hash of its key at its position, and the hash is computed
// if the guess was another key. Sessions run one at a time in a thread, so one list serves them
// all.
//
// Plain requests of the classic protocol (nearly all) are not guesses:
//
//   get KEY\r\n
//   set KEY FLAGS EXPTIME BYTES\r\nVALUE\r\n       complete, numbers with few digits
//
// They are parsed once, here, and run from the list.
//
// Each protocol scans its own input: lines here, frames in binary/ahead.ts.

import type { Area } from '../bytes/area.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import type { Cache } from '../engine/cache.ts'
import { PREFETCH_KEYS_MAX } from '../engine/limits.ts'
import { prefetch } from '../engine/prefetch.ts'
import { Mode } from '../engine/status.ts'
import type { Request } from './request.ts'
import { wordEnd } from './words/ascii.ts'
import { LINE_END_BYTES } from './words/tokens.ts'

/** Shorter input has too few requests for a lookahead. */
const LOOKAHEAD_BYTES_MIN = 128

/** Most digits of a number in a plain request: any such number fits 32 bits. */
const PLAIN_DIGITS_MAX = 9

const LF = 10
const CR = 13
const BLANK = 32
/** `get ` and `set ` as little-endian numbers. */
const GET_BLANK = 0x20746567
const SET_BLANK = 0x20746573
const VERB_BYTES = 4
const DIGIT_0 = 48
const LETTER_G = 103
const LETTER_M = 109
const LETTER_S = 115
const META_VERB_BYTES = 3
/** Spaces between the key of a store and the length of its value: `flags exptime bytes`. */
const BLANKS_TO_LENGTH = 3

const starts = new Int32Array(PREFETCH_KEYS_MAX)
const lengths = new Int32Array(PREFETCH_KEYS_MAX)
const hashes = new Int32Array(PREFETCH_KEYS_MAX)
/** Where the plain request with this key begins; -1: its request is not plain. */
const lines = new Int32Array(PREFETCH_KEYS_MAX)
/** The fields of a plain set; a plain get has PLAIN_GET for its value. */
const flags = new Int32Array(PREFETCH_KEYS_MAX)
const exptimes = new Int32Array(PREFETCH_KEYS_MAX)
const values = new Int32Array(PREFETCH_KEYS_MAX)
const valueLengths = new Int32Array(PREFETCH_KEYS_MAX)
let area: Area | null = null
let count = 0
let next = 0
/** The input up to here has been scanned. */
let seenUntil = 0

/** Forgets the list: the input has changed. */
export function forgetAhead(): void {
  area = null
  count = 0
  next = 0
  seenUntil = 0
}

/** Sets the request's key to [start, end), with the hash computed ahead or now. */
export function locateKey(request: Request, input: Area, start: number, end: number): void {
  request.locate(input, start, end, hashOf(request.cache, input, start, end - start))
}

/** The hash of a key, computed ahead or now. */
export function hashOf(cache: Cache, input: Area, start: number, length: number): number {
  while (next < count && starts[next] < start) next++
  if (next === count || input !== area) return cache.hash(input, start, length)
  if (starts[next] !== start || lengths[next] !== length) return cache.hash(input, start, length)
  return hashes[next++]
}

/** Result of `plainAt` if there is no plain request. */
export const NOT_PLAIN = -1
/** Result of `plainAt` for a get; for a set it is where its value begins. */
export const PLAIN_GET = -2

/**
 * Fills `request` with the plain request at `at`. Returns its kind, or NOT_PLAIN.
 */
export function plainAt(input: Area, at: number, request: Request): number {
  while (next < count && starts[next] <= at) next++
  if (next === count || lines[next] !== at) return NOT_PLAIN
  const start = starts[next]
  request.locate(input, start, start + lengths[next], hashes[next])
  request.isPlain = true
  request.noreply = false
  const value = values[next]
  if (value === PLAIN_GET) return value
  request.mode = Mode.SET
  request.dropsOld = true
  request.casHigh = 0
  request.casLow = 0
  request.flags = flags[next] >>> 0
  request.exptime = exptimes[next]
  request.valueBytes = valueLengths[next]
  return value
}

/**
 * The end of the key at `start`, within a get or of a meta command; -1 if no key was found there.
 */
export function keyEndAt(start: number): number {
  while (next < count && starts[next] < start) next++
  return next < count && starts[next] === start ? start + lengths[next] : -1
}

/**
 * Scans the lines from `at`, unless that was done; `inKeys`: `at` is within the keys of a get.
 */
export function lookAhead(cache: Cache, input: Area, at: number, end: number, inKeys: boolean) {
  if (at < seenUntil) return
  const isShort = end - at < LOOKAHEAD_BYTES_MIN
  if (isShort && inKeys) return
  beginLook(input)
  let from = at
  if (isShort) from = Math.max(at + 1, findPlain(input, at, end))
  else if (inKeys) from = findKeys(input, from, end)
  while (!isShort && from < end && count < PREFETCH_KEYS_MAX) from = findLine(input, from, end)
  endLook(cache, input, from)
}

/** Whether input from `at` is to be scanned: it is long enough and has not been scanned yet. */
export function isWorthLook(at: number, end: number): boolean {
  return at >= seenUntil && end - at >= LOOKAHEAD_BYTES_MIN
}

/** Begins the scan of new input. */
export function beginLook(input: Area): void {
  area = input
  count = 0
  next = 0
}

/** Ends a scan at `until`: hashes the keys and prefetches their items. */
export function endLook(cache: Cache, input: Area, until: number): void {
  seenUntil = until
  for (let i = 0; i < count; i++) hashes[i] = cache.hash(input, starts[i], lengths[i])
  // A single request gains nothing from a prefetch.
  if (count > 1) prefetch(cache, hashes, count)
}

/** Adds a key, if its length is valid and there is room. */
export function addKey(start: number, length: number): void {
  if (length === 0 || length > KEY_BYTES_MAX) return
  starts[count] = start
  lines[count] = -1
  lengths[count++] = length
}

/** Whether there is room for more keys. */
export function hasKeyRoom(): boolean {
  return count < PREFETCH_KEYS_MAX
}

/** Adds the plain request at `at`. Returns where the next begins; -1 if it is not plain. */
function findPlain(input: Area, at: number, end: number): number {
  const { bytes, view } = input
  const key = at + VERB_BYTES
  if (key > end) return -1
  const verb = view.getInt32(at, true)
  if (verb !== GET_BLANK && verb !== SET_BLANK) return -1
  const keyEnd = wordEnd(input, key, end)
  if (keyEnd === key || keyEnd - key > KEY_BYTES_MAX || keyEnd === end) return -1
  if (verb === SET_BLANK) return findSet(bytes, at, keyEnd, end)
  if (bytes[keyEnd] !== CR || keyEnd + 1 >= end || bytes[keyEnd + 1] !== LF) return -1
  addPlain(at, key, keyEnd, PLAIN_GET)
  return keyEnd + 2
}

function findSet(bytes: Buffer, at: number, keyEnd: number, end: number): number {
  if (bytes[keyEnd] !== BLANK) return -1
  flags[count] = readDigits(bytes, keyEnd + 1, end)
  if (digitsEnd === keyEnd + 1 || bytes[digitsEnd] !== BLANK) return -1
  const exptime = digitsEnd + 1
  exptimes[count] = readDigits(bytes, exptime, end)
  if (digitsEnd === exptime || bytes[digitsEnd] !== BLANK) return -1
  const length = digitsEnd + 1
  const valueBytes = readDigits(bytes, length, end)
  const value = digitsEnd + 2
  const valueEnd = value + valueBytes
  if (digitsEnd === length || valueEnd + 2 > end) return -1
  if (bytes[value - 2] !== CR || bytes[value - 1] !== LF) return -1
  if (bytes[valueEnd] !== CR || bytes[valueEnd + 1] !== LF) return -1
  valueLengths[count] = valueBytes
  addPlain(at, at + VERB_BYTES, keyEnd, value)
  return valueEnd + 2
}

function addPlain(at: number, key: number, keyEnd: number, value: number): void {
  starts[count] = key
  lengths[count] = keyEnd - key
  lines[count] = at
  values[count++] = value
}

let digitsEnd = 0

/** Reads a number with few digits, up to `digitsEnd`. */
function readDigits(bytes: Buffer, start: number, end: number): number {
  const stop = Math.min(end, start + PLAIN_DIGITS_MAX)
  let value = 0
  let at = start
  for (; at < stop; at++) {
    const digit = bytes[at] - DIGIT_0
    if (digit >>> 0 > 9) break
    value = value * 10 + digit
  }
  digitsEnd = at
  return value
}

/** Adds the keys of the line at `at`. Returns where the next request begins. */
function findLine(input: Area, at: number, end: number): number {
  const { bytes } = input
  if (bytes[at] === LETTER_M && bytes[at + 2] === BLANK) return findMeta(input, at, end)
  const plainEnd = findPlain(input, at, end)
  if (plainEnd >= 0) return plainEnd
  const letter = bytes[at]
  let from = wordEnd(input, at, end)
  if (from === end || bytes[from] !== BLANK) return from + 1
  if (letter === LETTER_G) return findKeys(input, from, end)
  const key = from + 1
  from = wordEnd(input, key, end)
  if (from === end) return end
  addKey(key, from - key)
  return afterValue(bytes, from, end)
}

/** Adds the key of the meta command at `at`. Returns where the next request begins. */
function findMeta(input: Area, at: number, end: number): number {
  const { bytes } = input
  const key = at + META_VERB_BYTES
  const keyEnd = wordEnd(input, key, end)
  if (keyEnd >= end) return end
  addKey(key, keyEnd - key)
  if (bytes[at + 1] !== LETTER_S) return afterLine(bytes, keyEnd, end)
  const valueBytes = readDigits(bytes, keyEnd + 1, end)
  return afterLine(bytes, digitsEnd, end) + valueBytes + LINE_END_BYTES
}

/** Adds the keys from `at` to the end of the line, as far as there is room. Returns the end. */
function findKeys(input: Area, at: number, end: number): number {
  const { bytes } = input
  let from = at
  while (count < PREFETCH_KEYS_MAX) {
    while (from < end && bytes[from] === BLANK) from++
    const key = from
    from = wordEnd(input, key, end)
    if (from === end) return end
    addKey(key, from - key)
    if (bytes[from] !== BLANK) return afterLine(bytes, from, end)
  }
  return from
}

function afterLine(bytes: Buffer, at: number, end: number): number {
  let from = at
  while (from < end && bytes[from] !== LF) from++
  return from + 1
}

/** The end of a store: after its line and its value. */
function afterValue(bytes: Buffer, at: number, end: number): number {
  let from = at
  let seen = 0
  let length = 0
  for (; from < end && bytes[from] !== LF; from++) {
    if (bytes[from] === BLANK) seen++
    else if (seen === BLANKS_TO_LENGTH && bytes[from] >= DIGIT_0) {
      length = length * 10 + bytes[from] - DIGIT_0
    }
  }
  return seen < BLANKS_TO_LENGTH ? from + 1 : from + 1 + length + LINE_END_BYTES
}
