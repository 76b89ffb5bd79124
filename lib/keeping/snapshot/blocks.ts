// Blocks, to bytes and back: compressed if that makes them shorter, sealed if the file is.

import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import * as F from './layout.ts'
import type { Seal } from './seal.ts'
import { Unsound } from './unsound.ts'

/** The head of a block, and where it is. */
export interface Block {
  /** Of its head in the file. */
  offset: number
  number: number
  kind: number
  band: number
  encoding: number
  records: number
  rawBytes: number
  storedBytes: number
}

/** What a writer says of a block. */
export interface Content {
  kind: F.Kind
  band: number
  records: number
  payload: Buffer
}

/** The totals of a file. */
export interface Totals {
  records: number
  itemBytes: number
  /** When it was complete, Unix time, milliseconds. */
  endedMs: number
  casHigh: number
}

/**
 * zlib works into chunks of 16 KiB if it is not told better, and joins them. A chunk has this more
 * than is needed, which shows that the end was reached.
 */
const CHUNK_BYTES_SPARE = 64

export const LEVEL_MAX = 19
/** Fast, and three quarters of what slow levels save. */
export const LEVEL_DEFAULT = 1

/**
 * Encodes the blocks of one file, in order. What it returns is valid until the next call: garbage
 * would be collected at some moment, perhaps while an arena is locked.
 */
export class BlockEncoder {
  private readonly seal: Seal | null
  private readonly level: number
  private readonly output = Buffer.alloc(F.BLOCK_HEAD_BYTES + F.PAYLOAD_BYTES_MAX + F.SEAL_BYTES)
  private number = 0

  /** `level`: of zstd, 0 for none. */
  constructor(seal: Seal | null, level: number) {
    this.seal = seal
    this.level = level
  }

  encode({ kind, band, records, payload }: Content): Buffer {
    const shorter = this.level === 0 ? null : compress(payload, this.level)
    const encoded = shorter ?? payload
    const storedBytes = encoded.length + (this.seal === null ? 0 : F.SEAL_BYTES)
    const head = this.output.subarray(0, F.BLOCK_HEAD_BYTES)
    head.writeUInt32LE(F.BLOCK_MAGIC, F.BLOCK_MAGIC_AT)
    head[F.BLOCK_KIND] = kind
    head[F.BLOCK_BAND] = band
    head[F.BLOCK_ENCODING] = shorter === null ? F.Encoding.PLAIN : F.Encoding.ZSTD
    head.writeUInt32LE(this.number, F.BLOCK_NUMBER)
    head.writeUInt32LE(records, F.BLOCK_RECORDS)
    head.writeUInt32LE(payload.length, F.BLOCK_RAW_BYTES)
    head.writeUInt32LE(storedBytes, F.BLOCK_STORED_BYTES)
    const stored = this.seal?.close(this.number, head, encoded) ?? encoded
    head.writeUInt32LE(checksum(head, stored), F.BLOCK_CHECKSUM)
    this.number++
    const bytes = stored.copy(this.output, F.BLOCK_HEAD_BYTES)
    return this.output.subarray(0, F.BLOCK_HEAD_BYTES + bytes)
  }

  trailer({ records, itemBytes, endedMs, casHigh }: Totals): Buffer {
    const payload = Buffer.alloc(F.TRAILER_BYTES)
    payload.writeBigUInt64LE(BigInt(records), F.TRAILER_RECORDS)
    payload.writeBigUInt64LE(BigInt(itemBytes), F.TRAILER_ITEM_BYTES)
    payload.writeBigUInt64LE(BigInt(endedMs), F.TRAILER_WALL_MS)
    payload.writeUInt32LE(casHigh >>> 0, F.TRAILER_CAS_HIGH)
    payload.writeUInt32LE(this.number, F.TRAILER_BLOCKS)
    return this.encode({ kind: F.Kind.TRAILER, band: 0, records: 0, payload })
  }
}

/**
 * The head of block `number`, which begins `bytes` at `offset` of its file. Throws Unsound.
 */
export function readBlockHead(bytes: Buffer, offset: number, number: number): Block {
  const block = {
    offset,
    number: bytes.readUInt32LE(F.BLOCK_NUMBER),
    kind: bytes[F.BLOCK_KIND],
    band: bytes[F.BLOCK_BAND],
    encoding: bytes[F.BLOCK_ENCODING],
    records: bytes.readUInt32LE(F.BLOCK_RECORDS),
    rawBytes: bytes.readUInt32LE(F.BLOCK_RAW_BYTES),
    storedBytes: bytes.readUInt32LE(F.BLOCK_STORED_BYTES),
  }
  const isSound =
    bytes.readUInt32LE(F.BLOCK_MAGIC_AT) === F.BLOCK_MAGIC &&
    block.number === number &&
    block.kind >= F.Kind.RECORDS &&
    block.kind <= F.Kind.TRAILER &&
    block.encoding <= F.Encoding.ZSTD &&
    block.rawBytes <= F.PAYLOAD_BYTES_MAX &&
    block.storedBytes <= block.rawBytes + F.SEAL_BYTES
  if (!isSound) throw damaged(number)
  return block
}

/** The payload of a block from its head and what is stored behind it. Throws Unsound. */
export function readPayload(block: Block, head: Buffer, stored: Buffer, seal: Seal | null): Buffer {
  if (checksum(head, stored) !== head.readUInt32LE(F.BLOCK_CHECKSUM)) throw damaged(block.number)
  const encoded = seal === null ? stored : seal.open(block.number, head, stored)
  if (encoded === null) throw new Unsound(`it was tampered with: block ${block.number}`)
  const payload = block.encoding === F.Encoding.PLAIN ? encoded : decompress(encoded, block)
  if (payload.length !== block.rawBytes) throw damaged(block.number)
  return payload
}

/** The totals in the payload of a trailer, which is block `number`. Throws Unsound. */
export function readTotals(payload: Buffer, number: number): Totals {
  if (payload.length < F.TRAILER_BYTES || payload.readUInt32LE(F.TRAILER_BLOCKS) !== number) {
    throw damaged(number)
  }
  return {
    records: Number(payload.readBigUInt64LE(F.TRAILER_RECORDS)),
    itemBytes: Number(payload.readBigUInt64LE(F.TRAILER_ITEM_BYTES)),
    endedMs: Number(payload.readBigUInt64LE(F.TRAILER_WALL_MS)),
    casHigh: payload.readUInt32LE(F.TRAILER_CAS_HIGH),
  }
}

export function damaged(number: number): Unsound {
  return new Unsound(`it is damaged: block ${number}`)
}

/** Null if it gets no shorter. */
function compress(payload: Buffer, level: number): Buffer | null {
  const params = { [constants.ZSTD_c_compressionLevel]: level }
  const compressed = zstdCompressSync(payload, {
    params,
    chunkSize: F.PAYLOAD_BYTES_MAX,
    pledgedSrcSize: payload.length,
  })
  return compressed.length < payload.length ? compressed : null
}

function decompress(encoded: Buffer, { rawBytes, number }: Block): Buffer {
  try {
    return zstdDecompressSync(encoded, {
      maxOutputLength: Math.max(1, rawBytes),
      chunkSize: rawBytes + CHUNK_BYTES_SPARE,
    })
  } catch {
    throw damaged(number)
  }
}

function checksum(head: Buffer, stored: Buffer): number {
  return crc32(stored, crc32(head.subarray(0, F.BLOCK_CHECKSUM)))
}
