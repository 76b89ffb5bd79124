// Versions where a value is on several servers. Each server has its own versions (CAS), which must
// not match another server's: a version carries a mark of the server that gave it.

// A default import, because an old Node has no `crc32` (node-check.ts).
import zlib from 'node:zlib'
import type { Member } from '../members/members.ts'
import type { Hit, PoolNode } from '../nodes/node.ts'

/** Marks are below this; a marked version is `version * MARKS + mark`. */
export const MARKS = 2n ** 32n

export function marked<H extends Hit>(hit: H, { node }: Member): H {
  return { ...hit, cas: hit.cas * MARKS + markOf(node) }
}

export function markOf({ name }: PoolNode): bigint {
  return BigInt(zlib.crc32(name))
}
