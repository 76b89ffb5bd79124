// Base64 keys, as memcached reads and writes them: bytes that are not base64 are skipped, the rest
// is read in groups of four, and padding ends it.

import type { Area } from '../../bytes/area.ts'

const LETTERS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const PAD = '='.charCodeAt(0)
const NO_LETTER = 0x80

const sextetOf = new Uint8Array(256).fill(NO_LETTER)
for (let sextet = 0; sextet < LETTERS.length; sextet++) sextetOf[LETTERS[sextet]] = sextet
sextetOf[PAD] = 0

/** Decodes [start, end) to the start of `to`. Returns the number of bytes; 0: not base64. */
export function decodeBase64(bytes: Buffer, start: number, end: number, to: Area): number {
  let letters = 0
  for (let at = start; at < end; at++) if (sextetOf[bytes[at]] !== NO_LETTER) letters++
  if (letters % 4 !== 0) return 0
  let block = 0
  let filled = 0
  let pads = 0
  let length = 0
  for (let at = start; at < end; at++) {
    const sextet = sextetOf[bytes[at]]
    if (sextet === NO_LETTER) continue
    if (bytes[at] === PAD) pads++
    block = (block << 6) | sextet
    if (++filled < 4) continue
    if (pads > 2) return 0
    to.bytes[length] = block >> 16
    to.bytes[length + 1] = (block >> 8) & 0xff
    to.bytes[length + 2] = block & 0xff
    length += 3 - pads
    if (pads > 0) break
    block = 0
    filled = 0
  }
  return length
}

/** Encodes `length` bytes from `start` to `toStart`. Returns the end. */
export function encodeBase64(
  from: Area,
  start: number,
  length: number,
  to: Buffer,
  toStart: number,
): number {
  const { bytes } = from
  const end = start + length
  let at = toStart
  for (let i = start; i < end; i += 3) {
    const left = end - i
    const second = left > 1 ? bytes[i + 1] : 0
    const third = left > 2 ? bytes[i + 2] : 0
    to[at] = LETTERS[bytes[i] >> 2]
    to[at + 1] = LETTERS[((bytes[i] & 0x3) << 4) | (second >> 4)]
    to[at + 2] = left > 1 ? LETTERS[((second & 0xf) << 2) | (third >> 6)] : PAD
    to[at + 3] = left > 2 ? LETTERS[third & 0x3f] : PAD
    at += 4
  }
  return at
}
