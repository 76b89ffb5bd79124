// Copies and comparisons between byte areas. An area is one piece of memory with two views. A
// Buffer's copy is a memmove plus about 25 ns for the call. A DataView's unaligned 8-byte loads and
// stores are inlined and never put a BigInt on the heap: they take a third of the time at 24 bytes,
// and the same near 144. The last eight bytes of a range may overlap those before them.

/** Replies up to this length are sent by a view of the buffer that is created once. */
const KEPT_HEAD_BYTES_MAX = 1024

const VIEW_COPY_BYTES_MAX = 128
const WIDE_BYTES = 8

export class Area {
  readonly bytes: Buffer
  readonly view: DataView
  /** Cached views of its first bytes, by length. */
  private heads: Buffer[] | null = null

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  static allocate(size: number): Area {
    return new Area(Buffer.allocUnsafeSlow(size))
  }

  /**
   * A view of its first `length` bytes. Short ones are cached, since a view costs like a short
   * copy.
   */
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
  if (length < WIDE_BYTES) {
    for (let i = 0; i < length; i++) target.setUint8(toStart + i, source.getUint8(fromStart + i))
    return
  }
  const last = length - WIDE_BYTES
  for (let i = 0; i < last; i += WIDE_BYTES) {
    target.setBigInt64(toStart + i, source.getBigInt64(fromStart + i, true), true)
  }
  target.setBigInt64(toStart + last, source.getBigInt64(fromStart + last, true), true)
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
  if (length < WIDE_BYTES) {
    for (let i = 0; i < length; i++) {
      if (aView.getUint8(aStart + i) !== bView.getUint8(bStart + i)) return false
    }
    return true
  }
  const last = length - WIDE_BYTES
  for (let i = 0; i < last; i += WIDE_BYTES) {
    if (aView.getBigInt64(aStart + i, true) !== bView.getBigInt64(bStart + i, true)) return false
  }
  return aView.getBigInt64(aStart + last, true) === bView.getBigInt64(bStart + last, true)
}
