// The meaning of requests, for all protocols: one function per operation. The parser has filled the
// request, including its key's hash and shard. The outcome is a status and the request's results,
// which the protocol prints.
//
// Protocols call them through the session's `Operations`: these, or those of watched.ts while
// somebody watches. Latencies and sampled keys have no operations of their own: V8 inlines these
// only as long as a thread has called no others.

import type { Area } from '../bytes/area.ts'
import type { Cache } from '../engine/cache.ts'
import { Status } from '../engine/status.ts'
import type { HitSink } from '../engine/storing/ask.ts'
import { isJoin } from '../engine/storing/terms.ts'
import { Timed } from '../observe/latency.ts'
import type { Request } from './request.ts'

export interface Operations {
  /**
   * Offers the item, or one that the request creates, to the sink: OK, MISS, NO_ROOM, HELD or
   * NO_MEMORY.
   */
  get(request: Request, sink: HitSink): Status
  /** As `get`, and sets the expiry by the request's exptime. */
  getAndTouch(request: Request, sink: HitSink): Status
  /** Sets the expiry by the request's exptime: OK, MISS or NO_MEMORY. */
  touch(request: Request): Status
  /** Shows the item to the sink without counting a hit: OK or MISS. */
  peek(request: Request, sink: HitSink): Status
  /** Deletes the item, or does what the request asks instead: OK, MISS, EXISTS or NO_MEMORY. */
  remove(request: Request): Status
  /** Stores the complete value at `start` of `value`; statuses as Shard.store. */
  store(request: Request, value: Area, start: number): Status
  /** Makes room for a value that will arrive in pieces: OK, TOO_LARGE, NO_MEMORY or BUSY. */
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
  count(request, Timed.GET)
  if (!request.isPlain) setTimes(request)
  const status = request.shard.get(request, sink)
  if (request.sampler.takes(request.hash)) noteFetch(request, status)
  return status
}

export function getAndTouch(request: Request, sink: HitSink): Status {
  count(request, Timed.GAT)
  setTimes(request)
  const status = request.shard.getAndTouch(request, sink)
  if (request.sampler.takes(request.hash)) noteFetch(request, status)
  return status
}

export function touch(request: Request): Status {
  count(request, Timed.TOUCH)
  setTimes(request)
  const status = request.shard.touch(request)
  if (request.sampler.takes(request.hash)) noteFetch(request, status)
  return status
}

export function peek(request: Request, sink: HitSink): Status {
  count(request, Timed.ME)
  return request.shard.peek(request, sink)
}

export function remove(request: Request): Status {
  count(request, Timed.DELETE)
  if (!request.isPlain) setTimes(request)
  const status = request.shard.remove(request)
  if (request.sampler.takes(request.hash)) noteRemove(request, status)
  return status
}

export function store(request: Request, value: Area, start: number): Status {
  count(request, Timed.SET)
  setTimes(request)
  const isSampled = request.sampler.takes(request.hash)
  const isNew = isSampled && !request.sampler.finds(request.shard, request)
  const status = request.shard.store(request, value, start)
  if (status === Status.OK) measure(request)
  if (isSampled) noteStore(request, status, isNew)
  return status
}

export function begin(request: Request): Status {
  count(request, Timed.NOTHING)
  setTimes(request)
  const status = request.shard.begin(request)
  if (status !== Status.OK) return status
  measure(request)
  // At its end the key is there no more.
  if (request.sampler.takes(request.hash)) {
    noteStore(request, status, !request.sampler.finds(request.shard, request))
  }
  return status
}

export function commit(request: Request): Status {
  request.timed = Timed.SET
  return request.shard.commit(request)
}

export function adjust(request: Request): Status {
  count(request, Timed.INCR)
  setTimes(request)
  return request.shard.adjust(request)
}

/**
 * Flushes all items stored by now, or by the end of the delay. As in memcached, a delay of n takes
 * effect at the clock's tick n - 1 seconds from now. An absolute time in the past changes nothing.
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

/** Sets the request's times on the clock of the key's arena. */
function setTimes(request: Request): void {
  const { shard } = request
  request.expiresAtS = shard.expiresAtS(request.exptime)
  if (request.creates) request.createAtS = shard.expiresAtS(request.createExptime)
  if (request.recaches) request.recacheAtS = shard.expiresAtS(request.recacheExptime)
}

/** Tells a timed read what it runs, and counts down to the next request sampled for hot keys. */
function count(request: Request, timed: Timed): void {
  request.timed = timed
  if (--request.hotKeys.left === 0) sample(request)
}

function sample({ cache, hotKeys, shard, hash, area, keyStart, keyBytes }: Request): void {
  hotKeys.sample(shard, hash, area, keyStart, keyBytes)
  hotKeys.recheck(cache)
}

/** Records a stored value that may be one of the longest. */
function measure({ hotKeys, hash, area, keyStart, keyBytes, valueBytes }: Request): void {
  if (valueBytes > hotKeys.longBytes) {
    hotKeys.measure(hash, area, keyStart, keyBytes, valueBytes)
  }
}

// ---- keys that are sampled for the miniature caches (observe/miniature/)

function noteFetch(request: Request, status: Status): void {
  const { sampler, shard } = request
  const isCreated = !request.isPlain && request.created
  if (status === Status.MISS || isCreated) sampler.missed(shard, request)
  else if (status === Status.OK || status === Status.HELD) sampler.hit(shard, request)
}

function noteRemove(request: Request, status: Status): void {
  const isGone = request.isPlain || !request.invalidates
  if (status === Status.OK && isGone) request.sampler.removed(request.shard, request)
}

/** A join has only a part of its item: the next hit tells how long that is. */
function noteStore(request: Request, status: Status, isNew: boolean): void {
  if (status !== Status.OK || isJoin(request.mode)) return
  request.sampler.stored(request.shard, request, isNew)
}
