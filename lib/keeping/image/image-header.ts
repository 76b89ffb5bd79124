// The beginning of an image: what a cache needs to know before it reads the arenas.
//
//   0  "memslab image\n"   16  version   20  bytes of the text   24  CRC-32 of the text
//   28 loads begun         32  the text: JSON

import { readFileSync } from 'node:fs'
import { monotonicS } from '../../engine/arena/clock.ts'
import * as L from '../../engine/arena/layout.ts'
import type { Cache } from '../../engine/cache.ts'
import type { Past } from '../../engine/create.ts'
import { ARENA_BYTES_MAX, ARENAS_MAX } from '../../engine/limits.ts'
import { formOf } from './adopt.ts'
import { imageBytes } from './arena-image.ts'
import { crc32 } from './crc32.ts'
import { HEADER_BYTES } from './limits.ts'
import { firstPart } from './plan.ts'

export { LAYOUT_VERSION } from '../../engine/arena/layout.ts'

const MAGIC = 'memslab image\n\0\0'
const IMAGE_VERSION = 1
const VERSION_AT = 16
const LENGTH_AT = 20
const SUM_AT = 24
export const LOADS_AT = 28
const TEXT_AT = 32

/** One arena in an image. */
export interface Section {
  /** An arena of the same form can become this one (adopt.ts). */
  form: string
  /** Length of its memory, reserved and used. */
  arenaBytes: number
  /** Length of its first part (plan.ts), words. */
  firstWords: number
  /** Length of its image. */
  imageBytes: number
}

/** A moment: on the wall clock, and since the machine was started, which `boot` names. */
export interface Clocks {
  wallS: number
  monotonicS: number
  boot: string
}

export interface ImageHeader extends Clocks {
  /** memslab's version that wrote it. */
  ownVersion: string
  layout: number
  seeds: [number, number]
  /** The arenas' clock, when it was read. */
  clockS: number
  /** Above the high words of all CAS numbers that it gave. */
  casHigh: number
  items: number
  sections: Section[]
}

/** The header of an image of this cache, which nobody uses any more. */
export function headerOf(cache: Cache, ownVersion: string): ImageHeader {
  const { words } = cache.shards[0].arena
  return {
    ownVersion,
    layout: L.LAYOUT_VERSION,
    seeds: [words[L.HASH_SEED_0], words[L.HASH_SEED_1]],
    clockS: cache.nowS,
    ...clocksNow(),
    casHigh: Math.max(...cache.shards.map(({ arena }) => arena.words[L.CAS_HIGH])) + 1,
    items: cache.itemCount(),
    sections: cache.shards.map(({ arena }) => ({
      form: formOf(arena),
      arenaBytes: arena.buffer.byteLength,
      firstWords: firstPart(arena).words,
      imageBytes: imageBytes(arena),
    })),
  }
}

export function encodeHeader(header: ImageHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  const length = bytes.write(JSON.stringify(header), TEXT_AT)
  bytes.write(MAGIC, 'latin1')
  bytes.writeUInt32LE(IMAGE_VERSION, VERSION_AT)
  bytes.writeUInt32LE(length, LENGTH_AT)
  bytes.writeUInt32LE(crc32(bytes.subarray(TEXT_AT, TEXT_AT + length)), SUM_AT)
  return bytes
}

/** Why an image cannot be used, for a line to the operator. */
export class Unusable extends Error {
  /** It is no image of memslab: it must not be overwritten. */
  readonly isForeign: boolean

  constructor(message: string, isForeign = false) {
    super(message)
    this.isForeign = isForeign
  }
}

/** Throws Unusable. `bytes`: the beginning of the file, HEADER_BYTES if it is that long. */
export function decodeHeader(bytes: Buffer): ImageHeader {
  const begins = MAGIC.slice(0, bytes.length)
  if (bytes.toString('latin1', 0, MAGIC.length) !== begins) {
    throw new Unusable('it is not an image of memslab', true)
  }
  if (bytes.length < HEADER_BYTES) throw new Unusable('it ends in its header')
  const version = bytes.readUInt32LE(VERSION_AT)
  if (version !== IMAGE_VERSION) throw new Unusable(`it has version ${version} of the format`)
  const length = bytes.readUInt32LE(LENGTH_AT)
  const text = bytes.subarray(TEXT_AT, TEXT_AT + length)
  if (text.length < length || crc32(text) !== bytes.readUInt32LE(SUM_AT)) {
    throw new Unusable('its header is damaged')
  }
  const header = JSON.parse(text.toString()) as ImageHeader
  if (header.layout !== L.LAYOUT_VERSION) {
    throw new Unusable(`memslab ${header.ownVersion} laid its memory out differently`)
  }
  if (!isPlausible(header)) throw new Unusable('its header is damaged')
  return header
}

function isPlausible({ sections }: ImageHeader): boolean {
  if (sections.length === 0 || sections.length > ARENAS_MAX) return false
  return sections.every(
    ({ arenaBytes, firstWords }) => arenaBytes <= ARENA_BYTES_MAX && firstWords * 4 <= arenaBytes,
  )
}

/**
 * What a cache that goes on from this image begins with. The time in between is that of the clock
 * which no one can set, unless the machine was started again; then it is the wall clock's, and
 * nothing if that went back.
 */
export function pastOf(header: ImageHeader, now: Clocks = clocksNow()): Past {
  const sinceBootS = now.monotonicS - header.monotonicS
  const wallS = now.wallS - header.wallS
  const isSameBoot = header.boot !== '' && header.boot === now.boot && sinceBootS >= 0
  const awayS = isSameBoot ? sinceBootS : Math.max(0, wallS)
  return { seeds: header.seeds, clockS: header.clockS + awayS }
}

function clocksNow(): Clocks {
  return { wallS: Math.floor(Date.now() / 1000), monotonicS: monotonicS(), boot: bootId() }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return ''
  }
}
