// Moves one item from one server to another, with its flags and the rest of its TTL, while others
// read and write it. A newer item on the new server stays, and an item deleted meanwhile stays
// deleted:
//
//   read the old one   v, version c
//   add to the new     not over what is there
//   delete the old     if it is still version c; if not, it was changed or deleted in between, and
//                      the copy that was just added is deleted again
//
// A client that deletes an item does so on the old server first, then on the new one. So either the
// move finds its version gone, or the delete finds the copy.

import { RELATIVE_S_MAX } from '../../bytes/memcached.ts'
import type { Hit, PoolNode } from '../nodes/node.ts'

/** How often the move of an item is repeated that was changed meanwhile. */
const MOVE_TRIES_MAX = 3

/** NEWER: the new server has one; NONE: nothing that could be moved. */
export type Moved = 'MOVED' | 'NEWER' | 'NONE'

/** Runs a request to one of the two servers, with the time that is left, ms. */
export type Ask = <T>(call: (node: PoolNode, timeoutMs: number) => Promise<T>) => Promise<T>

/**
 * Moves it. Rejects as the servers do. `keep`: the old one stays, and changes of it are not
 * noticed.
 */
export async function moveItem(key: string, from: Ask, to: Ask, keep = false): Promise<Moved> {
  for (let tries = 0; tries < MOVE_TRIES_MAX; tries++) {
    const hit = await from((node, ms) => node.get(key, ms))
    if (hit === undefined || !isMovable(hit)) return 'NONE'
    const { value, flags } = hit
    const exptime = exptimeOf(hit)
    const request = { mode: 'add', key, value, flags, exptime, cas: undefined } as const
    const stored = await to((node, ms) => node.store(request, ms))
    if (stored !== 'STORED') return 'NEWER'
    if (keep) return 'MOVED'
    const removed = await from((node, ms) => node.delete(key, ms, hit.cas))
    if (removed === true) return 'MOVED'
    const copy = await to((node, ms) => node.get(key, ms))
    if (copy !== undefined && isSame(copy, hit)) {
      await to((node, ms) => node.delete(key, ms, copy.cas))
    }
    if (removed === false) return 'NONE'
  }
  return 'NONE'
}

/** Not an item that is about to expire, whose TTL is unknown, or that is claimed or stale. */
function isMovable({ ttlS, isPending }: Hit): boolean {
  return ttlS !== undefined && ttlS !== 0 && isPending !== true
}

function exptimeOf({ ttlS = -1 }: Hit): number {
  if (ttlS < 0) return 0
  return ttlS <= RELATIVE_S_MAX ? ttlS : Math.floor(Date.now() / 1000) + ttlS
}

function isSame(a: Hit, b: Hit): boolean {
  return a.flags === b.flags && a.value.equals(b.value)
}
