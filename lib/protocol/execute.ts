// What a request means, once for all protocols: one function an operation. The parser has filled
// the request, its key's hash and shard among it; what comes of it is a status and the request's
// results. Printing comes behind.
//
// Protocols call the operations through the session's `Operations`, which are these while nobody
// watches, and those of watched.ts while somebody does.

import type { Area } from '../bytes/area.ts'
import type { Cache } from '../engine/cache.ts'
import { Status } from '../engine/status.ts'
import type { HitSink } from '../engine/storing/ask.ts'
import type { Request } from './request.ts'

export interface Operations {
  /**
   * Offers the item, or one that the request makes, to the sink: OK, MISS, NO_ROOM, HELD,
   * NO_MEMORY.
   */
  get(request: Request, sink: HitSink): Status
  /** As `get`, and the item expires as the request's exptime says. */
  getAndTouch(request: Request, sink: HitSink): Status
  /** The item expires as the request's exptime says: OK, MISS or NO_MEMORY. */
  touch(request: Request): Status
  /** Shows the item to the sink, which is no hit: OK or MISS. */
  peek(request: Request, sink: HitSink): Status
  /** Deletes the item, or does what the request asks instead: OK, MISS, EXISTS or NO_MEMORY. */
  remove(request: Request): Status
  /** Stores the complete value at `start` of `value`; statuses as Shard.store. */
  store(request: Request, value: Area, start: number): Status
  /** Makes room for a value that is still to come: OK, TOO_LARGE or NO_MEMORY. */
  begin(request: Request): Status
  /** Stores the value that `begin` made room for; statuses as Shard.store, or LOST. */
  commit(request: Request): Status
  /** Adds to a number or subtracts from it: OK, MISS, EXISTS, NON_NUMERIC or NO_MEMORY. */
  adjust(request: Request): Status
}

export const operations: Operations = {
  get,
  getAndTouch,
  touch,
  peek,
  remove,
  store,
  begin,
  commit,
  adjust,
}

export function get(request: Request, sink: HitSink): Status {
  count(request)
  if (!request.isPlain) setTimes(request)
  return request.shard.get(request, sink)
}

export function getAndTouch(request: Request, sink: HitSink): Status {
  count(request)
  setTimes(request)
  return request.shard.getAndTouch(request, sink)
}

export function touch(request: Request): Status {
  count(request)
  setTimes(request)
  return request.shard.touch(request)
}

export function peek(request: Request, sink: HitSink): Status {
  count(request)
  return request.shard.peek(request, sink)
}

export function remove(request: Request): Status {
  count(request)
  if (!request.isPlain) setTimes(request)
  return request.shard.remove(request)
}

export function store(request: Request, value: Area, start: number): Status {
  count(request)
  setTimes(request)
  const status = request.shard.store(request, value, start)
  if (status === Status.OK) measure(request)
  return status
}

export function begin(request: Request): Status {
  count(request)
  setTimes(request)
  const status = request.shard.begin(request)
  if (status === Status.OK) measure(request)
  return status
}

export function commit(request: Request): Status {
  return request.shard.commit(request)
}

export function adjust(request: Request): Status {
  count(request)
  setTimes(request)
  return request.shard.adjust(request)
}

/**
 * Flushes all items: now, or those stored before the delay is over. As in memcached a delay of n
 * takes effect with the clock's tick n - 1 seconds from now. An absolute time that is past changes
 * nothing.
 */
export function flushAll(cache: Cache, exptime: number): void {
  for (const shard of cache.shards) {
    if (exptime <= 0) shard.flush(shard.nowS())
    else {
      const atS = shard.expiresAtS(exptime) - 1
      if (atS > 0) shard.flush(atS)
    }
  }
}

/** Times on the clock of the key's arena. */
function setTimes(request: Request): void {
  const { shard } = request
  request.expiresAtS = shard.expiresAtS(request.exptime)
  if (request.creates) request.createAtS = shard.expiresAtS(request.createExptime)
  if (request.recaches) request.recacheAtS = shard.expiresAtS(request.recacheExptime)
}

/** One request in some hundred is sampled for hot keys. */
function count(request: Request): void {
  if (--request.hotKeys.left === 0) sample(request)
}

function sample({ cache, hotKeys, shard, hash, area, keyStart, keyBytes }: Request): void {
  hotKeys.sample(shard, hash, area, keyStart, keyBytes)
  hotKeys.recheck(cache)
}

/** A store found room for its value, which may be one of the longest. */
function measure({ hotKeys, hash, area, keyStart, keyBytes, valueBytes }: Request): void {
  if (valueBytes > hotKeys.longBytes) {
    hotKeys.measure(hash, area, keyStart, keyBytes, valueBytes)
  }
}
