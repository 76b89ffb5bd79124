// The requests of a case, built before anything is measured, and the replies they must get. No
// socket here; dialects.ts has the bytes of each protocol. A set stores the value that its key
// already has, so the reply to a batch is known whatever the order in which connections' requests
// arrive.

import type { Case } from './cases.ts'
import { DIALECTS, type Dialect } from './dialects.ts'

export interface Batch {
  bytes: Buffer
  replyBytes: number
  // An error or a miss has another first byte or another length.
  firstByte: number
}

interface Request {
  isSet: boolean
  keyIds: number[]
}

const REQUESTS_MAX = 131_072
const REQUEST_BYTES_MAX = 32 * 1024 * 1024
const BATCHES_MIN = 8
const PATTERN_OFFSETS = 4093
const PRELOAD_BATCH_BYTES = 64 * 1024
const ZIPF_EXPONENT = 0.99

export class Requests {
  readonly load: Case
  readonly batches: Batch[] = []
  readonly #requests: Request[][] = []
  readonly #dialect: Dialect
  readonly #pattern: Buffer
  readonly #random: () => number
  readonly #hitBytes: number

  /** Makes as many batches as keep a benchmark from repeating itself too soon, or `batchesMax`. */
  constructor(load: Case, seed: number, batchesMax = Number.POSITIVE_INFINITY) {
    this.load = load
    this.#dialect = DIALECTS[load.protocol]
    this.#random = randomFrom(seed)
    this.#pattern = Buffer.alloc(load.valueBytes + PATTERN_OFFSETS)
    for (let i = 0; i < this.#pattern.length; i += 1) this.#pattern[i] = this.#random() * 256
    this.#hitBytes = this.#hit(0).length
    this.#buildBatches(batchesMax)
  }

  get lastByte(): number | undefined {
    return this.#dialect.lastByte
  }

  // Text sets of every key, in batches that a server takes in a few reads.
  *preload(): Generator<{ bytes: Buffer; requestCount: number }> {
    let parts: Buffer[] = []
    let size = 0
    let requestCount = 0
    for (let keyId = 0; keyId < this.load.keyCount; keyId += 1) {
      const bytes = DIALECTS.text.set(this.#key(keyId), this.#value(keyId))
      parts.push(bytes)
      size += bytes.length
      requestCount += 1
      if (size < PRELOAD_BATCH_BYTES && keyId + 1 < this.load.keyCount) continue
      yield { bytes: Buffer.concat(parts), requestCount }
      parts = []
      size = 0
      requestCount = 0
    }
  }

  // Undefined if a batch got the right reply; else the first wrong byte and what should be there.
  faultIn(batchIndex: number, reply: Buffer): { at: number; wanted: Buffer } | undefined {
    const requests = this.#requests[batchIndex]
    const wanted = Buffer.concat(requests.map(request => this.#reply(request)))
    this.#dialect.mask(reply)
    this.#dialect.mask(wanted)
    if (reply.equals(wanted)) return undefined
    let at = 0
    while (reply[at] === wanted[at]) at += 1
    return { at, wanted: wanted.subarray(at) }
  }

  #buildBatches(batchesMax: number): void {
    const { depth, gets, sets } = this.load
    const pick = keyPicker(this.load, this.#random)
    let size = 0
    let sequence = 0
    while (this.batches.length < batchesMax && this.batches.length * depth < REQUESTS_MAX) {
      if (size > REQUEST_BYTES_MAX && this.batches.length >= BATCHES_MIN) break
      const requests: Request[] = []
      for (let i = 0; i < depth; i += 1, sequence += 1) {
        const isSet = sequence % (gets + sets) >= gets
        const keyIds = Array.from({ length: isSet ? 1 : this.load.keysPerGet }, pick)
        requests.push({ isSet, keyIds })
      }
      const bytes = Buffer.concat(requests.map(request => this.#bytes(request)))
      size += bytes.length
      this.#requests.push(requests)
      this.batches.push(this.#batch(requests, bytes))
    }
  }

  #batch(requests: readonly Request[], bytes: Buffer): Batch {
    let replyBytes = 0
    for (const request of requests) replyBytes += this.#replyLength(request)
    const firstByte = this.#reply(requests[0])[0]
    return { bytes, replyBytes, firstByte }
  }

  #bytes({ isSet, keyIds }: Request): Buffer {
    const keys = keyIds.map(keyId => this.#key(keyId))
    if (isSet) return this.#dialect.set(keys[0], this.#value(keyIds[0]))
    return this.#getsMany ? this.#dialect.getMany(keys) : this.#dialect.get(keys[0])
  }

  #reply({ isSet, keyIds }: Request): Buffer {
    const { stored, end } = this.#dialect
    if (isSet) return stored
    const hits = keyIds.map(keyId => this.#hit(keyId))
    return Buffer.concat(this.#getsMany ? [...hits, end] : hits)
  }

  #replyLength({ isSet, keyIds }: Request): number {
    const { stored, end } = this.#dialect
    if (isSet) return stored.length
    // All keys and values of a case have the same lengths, and so have all hits.
    return keyIds.length * this.#hitBytes + (this.#getsMany ? end.length : 0)
  }

  #hit(keyId: number): Buffer {
    const [key, value] = [this.#key(keyId), this.#value(keyId)]
    return this.#getsMany ? this.#dialect.hitOfMany(key, value) : this.#dialect.hit(key, value)
  }

  get #getsMany(): boolean {
    return this.load.keysPerGet > 1
  }

  #key(keyId: number): string {
    return `key:${String(keyId).padStart(this.load.keyBytes - 4, '0')}`
  }

  #value(keyId: number): Buffer {
    const start = keyId % PATTERN_OFFSETS
    return this.#pattern.subarray(start, start + this.load.valueBytes)
  }
}

function keyPicker({ keyCount, spread }: Case, random: () => number): () => number {
  if (spread === 'uniform') return () => Math.floor(random() * keyCount)
  const sums = new Float64Array(keyCount)
  let sum = 0
  for (let rank = 0; rank < keyCount; rank += 1) {
    sum += 1 / (rank + 1) ** ZIPF_EXPONENT
    sums[rank] = sum
  }
  return () => firstAbove(sums, random() * sum)
}

function firstAbove(sums: Float64Array, target: number): number {
  let low = 0
  let high = sums.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sums[middle] > target) high = middle
    else low = middle + 1
  }
  return low
}

// mulberry32, a seeded generator of numbers in [0, 1): both servers get the same load.
export function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
