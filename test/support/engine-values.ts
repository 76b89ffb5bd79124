/**
 * Values that carry their own checksum: length and serial number first, then bytes derived from
 * both. A byte that is torn, misplaced or left over from another value is found without knowing
 * which value was expected. Values shorter than the head are only pattern.
 */
const HEAD_BYTES = 8
const PERIOD_BYTES = 4099

export function makeValue(serial: number, length: number): Buffer {
  const value = Buffer.allocUnsafe(length)
  if (length < HEAD_BYTES) return value.fill(serial & 0xff)
  value.writeUInt32LE(length, 0)
  value.writeUInt32LE(serial >>> 0, 4)
  fillPattern(value, HEAD_BYTES, (serial ^ Math.imul(length, 0x9e3779b1)) | 1)
  return value
}

/** Whether bytes are a complete value of `makeValue`. */
export function isWhole(value: Buffer): boolean {
  if (value.length < HEAD_BYTES) return value.every(byte => byte === value[0])
  if (value.readUInt32LE(0) !== value.length) return false
  return makeValue(value.readUInt32LE(4), value.length).equals(value)
}

// The pattern's period is a prime number of bytes. No chunk is a multiple of it, so that a part in
// the wrong place does not look right.
function fillPattern(value: Buffer, start: number, seed: number): void {
  const end = Math.min(value.length, start + PERIOD_BYTES)
  let state = seed
  for (let at = start; at < end; at++) {
    state = (Math.imul(state, 0x19660d) + 0x3c6ef35f) | 0
    value[at] = state >>> 24
  }
  for (let at = end; at < value.length; at += PERIOD_BYTES) value.copy(value, at, start, end)
}
