// Looks over requests that came together before the first of them runs: finds their keys, hashes
// them, and has the engine bring their items near the processor. What it finds is only a guess: a
// request that runs asks for the hash of its key at its place, and has it computed if the guess was
// another. Sessions run one at a time in a thread, so one list serves them all.

import type { Area } from '../engine/bytes.ts'
import type { Cache } from '../engine/cache.ts'
import { prefetch } from '../engine/prefetch.ts'
import { KEY_BYTES_MAX, LOOKAHEAD_BYTES_MIN, PREFETCH_KEYS_MAX } from '../limits.ts'
import { BODY_BYTES, EXTRA_BYTES, HEADER_BYTES, KEY_BYTES, REQUEST_MAGIC } from './binary-layout.ts'

const LF = 10
const BLANK = 32
const DIGIT_0 = 48
const LETTER_G = 103
const LETTER_M = 109
const LETTER_S = 115
/** Blanks between the key of a store and the length of its value: `flags exptime bytes`, `ms`. */
const BLANKS_TO_LENGTH = 3
const BLANKS_TO_META_LENGTH = 1

const starts = new Int32Array(PREFETCH_KEYS_MAX)
const lengths = new Int32Array(PREFETCH_KEYS_MAX)
const hashes = new Int32Array(PREFETCH_KEYS_MAX)
let area: Area | null = null
let count = 0
let next = 0
/** The input up to here was looked over. */
let seenUntil = 0

/** Forgets what was seen: other input stands there. */
export function forgetAhead(): void {
  area = null
  count = 0
  next = 0
  seenUntil = 0
}

/** The hash of a key: as it was computed ahead, or computed now. */
export function hashOf(cache: Cache, input: Area, start: number, length: number): number {
  while (next < count && starts[next] < start) next++
  if (next === count || input !== area) return cache.hash(input, start, length)
  if (starts[next] !== start || lengths[next] !== length) return cache.hash(input, start, length)
  return hashes[next++]
}

/** Looks over the lines from `at`, unless that was done; `inKeys`: that is amid the keys of a get. */
export function lookAhead(cache: Cache, input: Area, at: number, end: number, inKeys: boolean) {
  if (at < seenUntil || end - at < LOOKAHEAD_BYTES_MIN) return
  begin(input)
  let from = at
  if (inKeys) from = findKeys(input.bytes, from, end)
  while (from < end && count < PREFETCH_KEYS_MAX) from = findLine(input.bytes, from, end)
  finish(cache, input, from)
}

/** As `lookAhead`, over frames of the binary protocol. */
export function lookAheadFrames(cache: Cache, input: Area, at: number, end: number): void {
  if (at < seenUntil || end - at < LOOKAHEAD_BYTES_MIN) return
  begin(input)
  const { bytes, view } = input
  let from = at
  while (from + HEADER_BYTES <= end && count < PREFETCH_KEYS_MAX) {
    if (bytes[from] !== REQUEST_MAGIC) break
    const length = view.getUint16(from + KEY_BYTES)
    const start = from + HEADER_BYTES + bytes[from + EXTRA_BYTES]
    if (start + length > end) break
    add(start, length)
    from += HEADER_BYTES + view.getUint32(from + BODY_BYTES)
  }
  finish(cache, input, Math.max(from, at + 1))
}

function begin(input: Area): void {
  area = input
  count = 0
  next = 0
}

function finish(cache: Cache, input: Area, until: number): void {
  seenUntil = until
  // One request gains nothing from a look ahead.
  if (count === 1) count = 0
  for (let i = 0; i < count; i++) hashes[i] = cache.hash(input, starts[i], lengths[i])
  if (count > 0) prefetch(cache, hashes, count)
}

function add(start: number, length: number): void {
  if (length === 0 || length > KEY_BYTES_MAX) return
  starts[count] = start
  lengths[count++] = length
}

/** The key, or keys, of the line at `at`; where the next request begins. */
function findLine(bytes: Buffer, at: number, end: number): number {
  const letter = bytes[at]
  let from = at
  while (from < end && bytes[from] > BLANK) from++
  if (from === end || bytes[from] !== BLANK) return from + 1
  if (letter === LETTER_G) return findKeys(bytes, from, end)
  const isMeta = letter === LETTER_M && from === at + 2
  const key = from + 1
  from = key
  while (from < end && bytes[from] > BLANK) from++
  if (from === end) return end
  add(key, from - key)
  if (isMeta && bytes[at + 1] !== LETTER_S) return afterLine(bytes, from, end)
  return afterValue(bytes, from, end, isMeta ? BLANKS_TO_META_LENGTH : BLANKS_TO_LENGTH)
}

/** The keys from `at` to the end of the line, or as many as there is room for; where that is. */
function findKeys(bytes: Buffer, at: number, end: number): number {
  let from = at
  while (count < PREFETCH_KEYS_MAX) {
    while (from < end && bytes[from] === BLANK) from++
    const key = from
    while (from < end && bytes[from] > BLANK) from++
    if (from === end) return end
    add(key, from - key)
    if (bytes[from] !== BLANK) return afterLine(bytes, from, end)
  }
  return from
}

function afterLine(bytes: Buffer, at: number, end: number): number {
  let from = at
  while (from < end && bytes[from] !== LF) from++
  return from + 1
}

/** Behind the line and behind the value whose length stands behind so many blanks. */
function afterValue(bytes: Buffer, at: number, end: number, blanks: number): number {
  let from = at
  let seen = 0
  let length = 0
  for (; from < end && bytes[from] !== LF; from++) {
    if (bytes[from] === BLANK) seen++
    else if (seen === blanks && bytes[from] >= DIGIT_0) length = length * 10 + bytes[from] - DIGIT_0
  }
  return seen < blanks ? from + 1 : from + length + 3
}
