// The lookahead (lookahead.ts) over binary frames.

import type { Area } from '../../bytes/area.ts'
import type { Cache } from '../../engine/cache.ts'
import { addKey, beginLook, endLook, hasKeyRoom, isWorthLook } from '../lookahead.ts'
import { BODY_BYTES, EXTRA_BYTES, HEADER_BYTES, KEY_BYTES, REQUEST_MAGIC } from './layout.ts'

/** Scans the frames from `at`, unless that was done. */
export function lookAheadFrames(cache: Cache, input: Area, at: number, end: number): void {
  if (!isWorthLook(at, end)) return
  beginLook(input)
  const { bytes, view } = input
  let from = at
  while (from + HEADER_BYTES <= end && hasKeyRoom()) {
    if (bytes[from] !== REQUEST_MAGIC) break
    const length = view.getUint16(from + KEY_BYTES)
    const start = from + HEADER_BYTES + bytes[from + EXTRA_BYTES]
    if (start + length > end) break
    addKey(start, length)
    from += HEADER_BYTES + view.getUint32(from + BODY_BYTES)
  }
  endLook(cache, input, Math.max(from, at + 1))
}
