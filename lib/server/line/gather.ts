// A reply with inserts as the pieces of one write.

import type { Inserts } from '../../protocol/inserts.ts'

/**
 * Views of `reply` and of the inserts, each at its place. `before`: where `reply` begins in its
 * buffer.
 */
export function gather(reply: Buffer, inserts: Inserts, before = 0): Uint8Array[] {
  const { count, offsets, areas, starts, lengths } = inserts
  const pieces: Uint8Array[] = []
  let at = 0
  for (let i = 0; i < count; i++) {
    const offset = offsets[i] - before
    if (offset > at) pieces.push(reply.subarray(at, offset))
    at = offset
    const bytes = areas[i]?.bytes
    if (bytes !== undefined) pieces.push(bytes.subarray(starts[i], starts[i] + lengths[i]))
  }
  if (at < reply.length) pieces.push(reply.subarray(at))
  return pieces
}
