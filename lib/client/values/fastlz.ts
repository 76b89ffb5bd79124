// Decompresses FastLZ, by which php-memcached compresses. A stream is a sequence of instructions:
//
//   000LLLLL                      copy the L + 1 bytes that follow
//   LLLDDDDD dddddddd             copy L + 2 bytes from D * 256 + d + 1 bytes back
//   111DDDDD llllllll dddddddd    the same with L = 7 + l
//
// The upper three bits of the first byte are the level, less one. On level 2 `l` goes on as long as
// its bytes are 255, and a distance of all ones has 16 more bits behind it.

const LITERALS_MAX = 32
const LENGTH_OPEN = 7
const NEAR_MAX = 8191
const BYTE_MAX = 255

/** The `bytes` decompressed bytes of a stream. RangeError if it is damaged. */
export function inflateFastLz(stream: Uint8Array, bytes: number): Buffer {
  const isLong = readLevel(stream) === 2
  const out = Buffer.allocUnsafe(bytes)
  let at = 0
  let end = 0
  while (at < stream.length) {
    const code = at === 0 ? stream[0] & (LITERALS_MAX - 1) : stream[at]
    at++
    if (code < LITERALS_MAX) {
      const next = at + code + 1
      check(next <= stream.length && end + code + 1 <= bytes)
      out.set(stream.subarray(at, next), end)
      end += code + 1
      at = next
      continue
    }
    let length = code >> 5
    if (length === LENGTH_OPEN) {
      do length += at < stream.length ? stream[at] : 0
      while (stream[at++] === BYTE_MAX && isLong)
    }
    let distance = ((code & (LITERALS_MAX - 1)) << 8) + stream[at++] + 1
    if (isLong && distance === NEAR_MAX + 1) {
      distance += (stream[at] << 8) + stream[at + 1]
      at += 2
    }
    length += 2
    check(at <= stream.length && distance <= end && end + length <= bytes)
    // Bytes that this copy makes may be its source too.
    for (const stop = end + length; end < stop; end++) out[end] = out[end - distance]
  }
  check(end === bytes)
  return out
}

function readLevel(stream: Uint8Array): number {
  check(stream.length > 0)
  const level = (stream[0] >> 5) + 1
  check(level <= 2)
  return level
}

function check(holds: boolean): void {
  if (!holds) throw new RangeError('a damaged FastLZ stream')
}
