// The requests of a case, built once before any clock runs, and the replies they must get. No
// socket here. A set writes the value its key already has, so the reply to a batch is known in
// full whatever the order in which the connections' requests arrive.

import type { Case } from './cases.ts'

export interface Batch {
  bytes: Buffer
  replyBytes: number
  // 'V' of VALUE or 'S' of STORED: an error line or a miss begins otherwise.
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
export const STORED = Buffer.from('STORED\r\n')
const CRLF = Buffer.from('\r\n')
const END = Buffer.from('END\r\n')

export class Requests {
  readonly load: Case
  readonly batches: Batch[] = []
  readonly #requests: Request[][] = []
  readonly #pattern: Buffer
  readonly #random: () => number

  constructor(load: Case, seed: number) {
    this.load = load
    this.#random = randomFrom(seed)
    this.#pattern = Buffer.alloc(load.valueBytes + PATTERN_OFFSETS)
    for (let i = 0; i < this.#pattern.length; i += 1) this.#pattern[i] = this.#random() * 256
    this.#buildBatches()
  }

  // Sets of every key, in batches that a server takes in one or few reads.
  *preload(): Generator<{ bytes: Buffer; requestCount: number }> {
    let parts: Buffer[] = []
    let size = 0
    let requestCount = 0
    for (let keyId = 0; keyId < this.load.keyCount; keyId += 1) {
      const bytes = this.#setBytes(keyId)
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

  replyTo(batchIndex: number): Buffer {
    return Buffer.concat(this.#requests[batchIndex].map(request => this.#reply(request)))
  }

  #buildBatches(): void {
    const { depth, gets, sets } = this.load
    const pick = keyPicker(this.load, this.#random)
    let size = 0
    let sequence = 0
    while (this.batches.length * depth < REQUESTS_MAX) {
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
    return { bytes, replyBytes, firstByte: (requests[0].isSet ? 'S' : 'V').charCodeAt(0) }
  }

  #bytes({ isSet, keyIds }: Request): Buffer {
    if (isSet) return this.#setBytes(keyIds[0])
    return Buffer.from(`get ${keyIds.map(keyId => this.#key(keyId)).join(' ')}\r\n`)
  }

  #setBytes(keyId: number): Buffer {
    const line = Buffer.from(`set ${this.#key(keyId)} 0 0 ${this.load.valueBytes}\r\n`)
    return Buffer.concat([line, this.#value(keyId), CRLF])
  }

  #reply({ isSet, keyIds }: Request): Buffer {
    if (isSet) return STORED
    const parts: Buffer[] = []
    for (const keyId of keyIds) parts.push(this.#valueLine(keyId), this.#value(keyId), CRLF)
    return Buffer.concat([...parts, END])
  }

  #replyLength({ isSet, keyIds }: Request): number {
    if (isSet) return STORED.length
    const lineBytes = this.#valueLine(keyIds[0]).length
    return keyIds.length * (lineBytes + this.load.valueBytes + CRLF.length) + END.length
  }

  #valueLine(keyId: number): Buffer {
    return Buffer.from(`VALUE ${this.#key(keyId)} 0 ${this.load.valueBytes}\r\n`)
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

// mulberry32: the same seed gives both servers the same load.
export function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
