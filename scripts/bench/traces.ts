// Traces of a cache's requests: generated ones that resemble production, and those read from files.
//
// Generated values have the sizes published for Meta's and Twitter's caches, and all keys together
// need several times the servers' memory. Sizes do not depend on popularity, except in `large`.
// TTLs are those of production (minutes to days), scaled down to seconds.
//
// A file is CSV without a header, one request a line: time (seconds), key, key size (bytes), value
// size (bytes), operation (get, or set for a write without a get), ttl (seconds, 0: never expires).
// The key is padded or cut to its size. An empty key becomes the line's number.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { randomFrom } from './requests.ts'
import { type Draw, etcSizes, twitterSizes, wideSizes } from './sizes.ts'

export interface Access {
  key: string
  valueBytes: number
  isSet: boolean
  /** Seconds; 0: never expires. */
  ttlS: number
}

export interface Trace {
  name: string
  what: string
  /** Accesses per second; undefined: as fast as possible. */
  perS?: number
  accesses(): Iterable<Access> | AsyncIterable<Access>
}

interface Shape {
  /** Bytes of all keys and values together, as a multiple of the servers' memory. */
  spread: number
  exponent: number
  sizes: (random: Draw) => Draw
  /** Share of accesses to keys that are accessed once. */
  oncePerAccess?: number
  /** Every `every` accesses a scan over `keys` keys that are accessed once. */
  scan?: { every: number; keys: number }
  /** Accesses after which each key moves up by one rank, and the first becomes the last. */
  driftEvery?: number
  /** Accesses after which each key moves down by one rank, and the last becomes the first. */
  fadeEvery?: number
  /** Seconds; one is drawn for each key. */
  ttls?: readonly number[]
  /** Popular keys have the large values. */
  largeIsPopular?: boolean
  /** Accesses per second. */
  perS?: number
}

const KEY_BYTES = 24
const MEAN_SAMPLES = 10_000

const SHAPES: Readonly<Record<string, [what: string, Shape]>> = {
  'zipf-0.7': ['popularity nearly even', { spread: 4, exponent: 0.7, sizes: etcSizes }],
  'zipf-0.9': ['popularity uneven', { spread: 8, exponent: 0.9, sizes: twitterSizes }],
  'zipf-1.2': ['a few keys get most requests', { spread: 64, exponent: 1.2, sizes: wideSizes }],
  wide: ['values of 32 B to 32 KiB', { spread: 8, exponent: 0.9, sizes: wideSizes }],
  once: [
    'a third of the requests are for keys that come once',
    { spread: 4, exponent: 0.9, sizes: twitterSizes, oncePerAccess: 1 / 3 },
  ],
  scan: [
    'scans over keys that come once',
    { spread: 4, exponent: 0.9, sizes: twitterSizes, scan: { every: 400_000, keys: 100_000 } },
  ],
  drift: [
    'popularity grows, then stops at once',
    { spread: 6, exponent: 1, sizes: twitterSizes, driftEvery: 20 },
  ],
  fade: [
    'popularity comes at once, then fades',
    { spread: 6, exponent: 1, sizes: twitterSizes, fadeEvery: 20 },
  ],
  ttl: [
    'most items expire soon',
    { spread: 6, exponent: 0.9, sizes: twitterSizes, ttls: [5, 8, 12, 25, 150, 0], perS: 40_000 },
  ],
  large: [
    'popular keys have large values',
    { spread: 8, exponent: 0.8, sizes: etcSizes, largeIsPopular: true },
  ],
}

/** The generated traces, `accessCount` accesses each, for servers of `memoryBytes`. */
export function generatedTraces(accessCount: number, memoryBytes: number, seed: number): Trace[] {
  return Object.entries(SHAPES).map(([name, [what, shape]]) => ({
    name,
    what,
    perS: shape.perS,
    accesses: () => generate(shape, accessCount, memoryBytes, seed),
  }))
}

export function traceOfFile(path: string): Trace {
  return { name: path, what: 'as recorded', accesses: () => readTrace(path) }
}

function* generate(
  shape: Shape,
  accessCount: number,
  memoryBytes: number,
  seed: number,
): Generator<Access> {
  const random = randomFrom(seed)
  const keys = keysOf(shape, memoryBytes, random)
  const rankOf = zipf(keys.length, shape.exponent, random)
  let shift = 0
  let once = 0
  let scanLeft = 0
  const drawSize = shape.sizes(random)
  for (let i = 0; i < accessCount; i++) {
    if (shape.scan !== undefined && i % shape.scan.every === 0) scanLeft = shape.scan.keys
    if (shape.driftEvery !== undefined && i % shape.driftEvery === 0) shift++
    if (shape.fadeEvery !== undefined && i % shape.fadeEvery === 0) shift--
    if (scanLeft > 0 || random() < (shape.oncePerAccess ?? 0)) {
      if (scanLeft > 0) scanLeft--
      yield { key: keyOf('o', once++), valueBytes: drawSize(), isSet: false, ttlS: 0 }
    } else {
      yield keys[modulo(rankOf() + shift, keys.length)]
    }
  }
}

function keysOf(shape: Shape, memoryBytes: number, random: Draw): Access[] {
  const { spread, sizes, ttls, largeIsPopular } = shape
  const drawSize = sizes(random)
  let sum = 0
  for (let i = 0; i < MEAN_SAMPLES; i++) sum += drawSize()
  const meanBytes = KEY_BYTES + sum / MEAN_SAMPLES
  const count = Math.ceil((memoryBytes * spread) / meanBytes)
  const values = Float64Array.from({ length: count }, drawSize)
  if (largeIsPopular) values.sort().reverse()
  const ttlOf = () => (ttls === undefined ? 0 : ttls[Math.floor(random() * ttls.length)])
  return Array.from(values, (valueBytes, id) => {
    return { key: keyOf('k', id), valueBytes, isSet: false, ttlS: ttlOf() }
  })
}

function modulo(number: number, count: number): number {
  return ((number % count) + count) % count
}

/** Draws ranks 0, 1, 2 ... with probabilities proportional to 1 / (rank + 1) ^ exponent. */
function zipf(count: number, exponent: number, random: Draw): Draw {
  const sums = new Float64Array(count)
  let sum = 0
  for (let rank = 0; rank < count; rank++) {
    sum += 1 / (rank + 1) ** exponent
    sums[rank] = sum
  }
  return () => {
    const target = random() * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle] > target) high = middle
      else low = middle + 1
    }
    return low
  }
}

async function* readTrace(path: string): AsyncGenerator<Access> {
  let number = 0
  for await (const line of createInterface({ input: createReadStream(path) })) {
    number++
    if (line.trim() === '') continue
    const [, key = '', keySize, valueSize, operation = 'get', ttl = '0'] = line.split(',')
    const valueBytes = Number(valueSize)
    const keyBytes = Number(keySize)
    if (!(valueBytes >= 0) || !(keyBytes > 0 && keyBytes <= 250) || !(Number(ttl) >= 0)) {
      throw new Error(`${path}:${number}: not time,key,key size,value size,operation,ttl`)
    }
    const name = (key || String(number)).replace(/[^!-~]/g, '_')
    const padded = name.padEnd(keyBytes, '_').slice(-keyBytes)
    yield { key: padded, valueBytes, isSet: operation.trim() !== 'get', ttlS: Number(ttl) }
  }
}

function keyOf(kind: string, id: number): string {
  return kind + String(id).padStart(KEY_BYTES - 1, '0')
}
