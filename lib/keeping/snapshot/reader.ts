// Reads a snapshot file. Opening it finds all of its blocks by their heads, and refuses a file that
// does not end with its trailer. Verifying it reads every block and every record. Nothing of a file
// may be used before all of it was verified: `Unsound` refuses it as a whole.
//
//   unit    what can be read alone: a block of records, or the blocks of one long record
//
// Several threads may read one open file: each has a reader of its own on the same descriptor.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { Area } from '../../bytes/area.ts'
import {
  type Block,
  damaged,
  readBlockHead,
  readPayload,
  readTotals,
  type Totals,
} from './blocks.ts'
import { type Header, readHeader, sealOf } from './header.ts'
import * as F from './layout.ts'
import { RecordHead, readHead } from './records.ts'
import type { Seal } from './seal.ts'
import { Unsound } from './unsound.ts'

/** The numbers of the first block and of the one after the last. */
export interface Unit {
  first: number
  end: number
  band: number
}

/** Takes what is read, in order. The head is valid only during the call, the areas stay. */
export interface RecordSink {
  /** A record with its complete value at `valueAt`. */
  take(head: RecordHead, payload: Area, keyAt: number, valueAt: number): void
  /** The head and key of a long record. False: its value is not wanted. */
  begin(head: RecordHead, payload: Area, keyAt: number): boolean
  /** The next bytes of its value. */
  more(payload: Area, start: number, length: number): void
  /** Its value is complete. */
  end(): void
}

export class SnapshotReader {
  readonly header: Header
  readonly totals: Totals
  readonly units: readonly Unit[]
  readonly fileBytes: number
  private readonly fd: number
  private readonly seal: Seal | null
  private readonly blocks: Block[]
  private readonly head = new RecordHead()

  /** `secret`: of a sealed file; null: none is known. Throws Unsound. */
  constructor(fd: number, secret: Buffer | null) {
    this.fd = fd
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Unsound('it is not a file')
    this.fileBytes = stat.size
    const bytes = readUpTo(fd, 0, F.HEADER_BYTES)
    this.header = readHeader(bytes)
    this.seal = this.header.isSealed ? sealOf(bytes, secret) : null
    this.blocks = findBlocks(fd, this.fileBytes)
    const trailer = this.blocks.pop()
    if (trailer === undefined) throw new Unsound('it is torn: it has no end')
    this.totals = readTotals(this.payloadOf(trailer), trailer.number)
    this.units = unitsOf(this.blocks)
  }

  /** The units by how recently their items were used. */
  ordered(hottestFirst: boolean): Unit[] {
    const sign = hottestFirst ? -1 : 1
    return [...this.units].sort((a, b) => sign * (a.band - b.band) || a.first - b.first)
  }

  /** Reads all records of a unit into `sink`. Throws Unsound. */
  read({ first, end }: Unit, sink: RecordSink): void {
    const block = this.blocks[first]
    const payload = this.payloadOf(block)
    const area = new Area(payload)
    if (block.kind === F.Kind.RECORDS) this.readRecords(block, area, sink)
    else this.readLong(first, end, area, sink)
  }

  /** Verifies a unit: every checksum and every record. Returns the number of its records. */
  verify(unit: Unit): number {
    this.read(unit, IGNORED)
    return this.blocks[unit.first].records
  }

  /** Throws Unsound if the verified units have not as many records as the trailer says. */
  verifyCount(records: number): void {
    if (records !== this.totals.records) throw new Unsound('it is damaged: records are missing')
  }

  private readRecords(block: Block, area: Area, sink: RecordSink): void {
    const { head } = this
    const end = block.rawBytes
    let at = 0
    for (let left = block.records; left > 0; left--) {
      const keyAt = readHead(area, at, end, head, this.header.hasCas)
      const valueAt = keyAt + head.keyBytes
      if (keyAt < 0 || head.valueBytes > end - valueAt) throw damaged(block.number)
      sink.take(head, area, keyAt, valueAt)
      at = valueAt + head.valueBytes
    }
    if (at !== end) throw damaged(block.number)
  }

  private readLong(first: number, end: number, area: Area, sink: RecordSink): void {
    const { head } = this
    const rawBytes = area.bytes.length
    const keyAt = readHead(area, 0, rawBytes, head, this.header.hasCas)
    if (keyAt < 0) throw damaged(first)
    const valueAt = keyAt + head.keyBytes
    let left = head.valueBytes - (rawBytes - valueAt)
    for (let number = first + 1; number < end; number++) left -= this.blocks[number].rawBytes
    if (left !== 0) throw damaged(first)
    const isWanted = sink.begin(head, area, keyAt)
    if (isWanted) sink.more(area, valueAt, rawBytes - valueAt)
    for (let number = first + 1; number < end; number++) {
      const payload = this.payloadOf(this.blocks[number])
      if (isWanted) sink.more(new Area(payload), 0, payload.length)
    }
    if (isWanted) sink.end()
  }

  private payloadOf(block: Block): Buffer {
    const bytes = readUpTo(this.fd, block.offset, F.BLOCK_HEAD_BYTES + block.storedBytes)
    if (bytes.length < F.BLOCK_HEAD_BYTES + block.storedBytes) throw damaged(block.number)
    const head = bytes.subarray(0, F.BLOCK_HEAD_BYTES)
    return readPayload(block, head, bytes.subarray(F.BLOCK_HEAD_BYTES), this.seal)
  }
}

/** Opens the file for a reader; the caller closes the descriptor. Throws Unsound. */
export function openSnapshot(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw new Unsound(error instanceof Error ? error.message : String(error))
  }
}

/** Verifies the whole file at `path`, and returns what it says of itself. Throws Unsound. */
export function verifySnapshot(
  path: string,
  secret: Buffer | null,
  onProgress: (share: number) => void = () => {},
): SnapshotReader {
  const fd = openSnapshot(path)
  try {
    const reader = new SnapshotReader(fd, secret)
    let records = 0
    for (const [index, unit] of reader.units.entries()) {
      records += reader.verify(unit)
      onProgress((index + 1) / reader.units.length)
    }
    reader.verifyCount(records)
    return reader
  } finally {
    closeSync(fd)
  }
}

const IGNORED: RecordSink = {
  take() {},
  begin: () => true,
  more() {},
  end() {},
}

/** All blocks, the trailer last; nothing follows it. Throws Unsound. */
function findBlocks(fd: number, fileBytes: number): Block[] {
  const blocks: Block[] = []
  let offset = F.HEADER_BYTES
  for (;;) {
    const head = readUpTo(fd, offset, F.BLOCK_HEAD_BYTES)
    if (head.length < F.BLOCK_HEAD_BYTES) throw new Unsound('it is torn: it has no end')
    const block = readBlockHead(head, offset, blocks.length)
    offset += F.BLOCK_HEAD_BYTES + block.storedBytes
    if (offset > fileBytes) throw new Unsound('it is torn: its last block is incomplete')
    blocks.push(block)
    if (block.kind === F.Kind.TRAILER) break
  }
  if (offset !== fileBytes) throw new Unsound('it is damaged: something follows its end')
  return blocks
}

function unitsOf(blocks: readonly Block[]): Unit[] {
  const units: Unit[] = []
  for (const { kind, number, band } of blocks) {
    const last = units.at(-1)
    if (kind !== F.Kind.MORE) units.push({ first: number, end: number + 1, band })
    else if (last !== undefined && blocks[last.first].kind === F.Kind.LONG) last.end++
    else throw damaged(number)
  }
  return units
}

/** Bytes from `offset`; fewer where the file ends. */
function readUpTo(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const read = readSync(fd, bytes, done, length - done, offset + done)
    if (read === 0) break
    done += read
  }
  return bytes.subarray(0, done)
}
