// Copies and comparisons between byte areas. An area is one piece of memory seen two ways: as a
// Buffer, whose copy is a memmove with about 25 ns of call around it, and as a DataView, whose
// unaligned 8-byte loads and stores are inlined: a third of that at 24 bytes, equal near 64.

import { KEPT_HEAD_BYTES_MAX } from '../limits.ts'

const VIEW_COPY_BYTES_MAX = 64

export class Area {
  readonly bytes: Buffer
  readonly view: DataView
  /** Views of its first bytes that were asked for before, by their length. */
  private heads: Buffer[] | null = null

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  static allocate(size: number): Area {
    return new Area(Buffer.allocUnsafeSlow(size))
  }

  /** Its first `length` bytes. Short ones are kept: a view costs as much as a short reply's copies. */
  head(length: number): Buffer {
    if (length > KEPT_HEAD_BYTES_MAX) return this.bytes.subarray(0, length)
    this.heads ??= new Array<Buffer>(KEPT_HEAD_BYTES_MAX + 1)
    this.heads[length] ??= this.bytes.subarray(0, length)
    return this.heads[length]
  }
}

/** Copies `length` bytes; the ranges do not overlap. */
export function copyBytes(
  from: Area,
  fromStart: number,
  to: Area,
  toStart: number,
  length: number,
): void {
  if (length > VIEW_COPY_BYTES_MAX) {
    from.bytes.copy(to.bytes, toStart, fromStart, fromStart + length)
    return
  }
  const source = from.view
  const target = to.view
  let i = 0
  for (; i + 8 <= length; i += 8) {
    target.setBigInt64(toStart + i, source.getBigInt64(fromStart + i, true), true)
  }
  for (; i < length; i++) target.setUint8(toStart + i, source.getUint8(fromStart + i))
}

/** Whether two ranges hold the same bytes. */
export function equalBytes(
  a: Area,
  aStart: number,
  b: Area,
  bStart: number,
  length: number,
): boolean {
  const aView = a.view
  const bView = b.view
  let i = 0
  for (; i + 4 <= length; i += 4) {
    if (aView.getInt32(aStart + i, true) !== bView.getInt32(bStart + i, true)) return false
  }
  for (; i < length; i++) {
    if (aView.getUint8(aStart + i) !== bView.getUint8(bStart + i)) return false
  }
  return true
}
