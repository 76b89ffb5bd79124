// What a request means, once for all protocols: a request becomes calls of the cache and a status.
// Parsing stands before it, printing after it. Numbers that adjust makes stand in decimal.ts's u64.

import type { Area } from '../bytes/area.ts'
import { expiresAt } from '../engine/arena/clock.ts'
import { CLOCK_S } from '../engine/arena/layout.ts'
import type { Cache } from '../engine/cache.ts'
import type { HitSink } from '../engine/shard.ts'
import * as onTerms from '../engine/shard-terms.ts'
import { Mode, Status } from '../engine/status.ts'
import type { Terms } from '../engine/storing/terms.ts'
import { hashOf } from './lookahead.ts'
import {
  look,
  noteBegin,
  noteCommit,
  noteGet,
  noteLook,
  noteRemove,
  noteStore,
  recallKey,
} from './notes.ts'
import type { Request } from './request.ts'

/** Offers the item to the sink: OK, MISS, NO_ROOM, HELD or NO_MEMORY. */
export function get(cache: Cache, request: Request, sink: HitSink): Status {
  const { area, keyStart, keyBytes, hold } = request
  const hash = locate(cache, request)
  const noted = isNoted(request)
  if (noted) look(request)
  const status = request.shard.get(hash, area, keyStart, keyBytes, sink, hold)
  if (noted) noteGet(request, status)
  return status
}

/** As `get`, and gives the item the request's exptime. */
export function getAndTouch(cache: Cache, request: Request, sink: HitSink): Status {
  const { area, keyStart, keyBytes, hold } = request
  const hash = locate(cache, request)
  const endsAtS = endOf(request)
  const noted = isNoted(request)
  if (noted) look(request)
  const status = request.shard.getAndTouch(hash, area, keyStart, keyBytes, endsAtS, sink, hold)
  if (noted) noteGet(request, status)
  return status
}

/** OK, MISS or NO_MEMORY. */
export function touch(cache: Cache, request: Request): Status {
  const hash = locate(cache, request)
  const { area, keyStart, keyBytes } = request
  if (isNoted(request)) lookAndNote(request)
  return request.shard.touch(hash, area, keyStart, keyBytes, endOf(request))
}

/** Deletes an item with the request's CAS, any if that is 0: OK, MISS or EXISTS. */
export function remove(cache: Cache, request: Request): Status {
  const hash = locate(cache, request)
  const { area, keyStart, keyBytes, cas } = request
  const noted = isNoted(request)
  if (noted) look(request)
  const status = request.shard.remove(hash, area, keyStart, keyBytes, cas.high, cas.low)
  if (noted) noteRemove(request, status, false)
  return status
}

/** Stores a value that stands whole at `start` of `value`; statuses as Shard.store. */
export function store(cache: Cache, request: Request, value: Area, start: number): Status {
  const hash = locate(cache, request)
  const noted = isNoted(request)
  if (noted) look(request)
  const status = request.shard.store(
    request.mode,
    hash,
    request.area,
    request.keyStart,
    request.keyBytes,
    request.flags,
    endOf(request),
    request.cas.high,
    request.cas.low,
    value,
    start,
    request.valueBytes,
  )
  if (status === Status.OK) measure(request)
  if (noted) noteStore(request, status)
  return status
}

/** Makes room for a value that is still to come: OK, TOO_LARGE or NO_MEMORY. */
export function begin(cache: Cache, request: Request): Status {
  const hash = locate(cache, request)
  const noted = isNoted(request)
  if (noted) look(request)
  const status = request.shard.begin(
    request.mode,
    hash,
    request.area,
    request.keyStart,
    request.keyBytes,
    request.flags,
    endOf(request),
    request.valueBytes,
    request.hold,
  )
  if (status === Status.OK) measure(request)
  if (noted) noteBegin(request, status)
  return status
}

/** Ends the item that the request, a store that was just refused, would have replaced. */
export function dropStale({ shard, hash, area, keyStart, keyBytes }: Request): void {
  shard.dropStale(hash, area, keyStart, keyBytes)
}

/** Stores the value that `begin` made room for; statuses as Shard.store, or LOST. */
export function commit(request: Request): Status {
  const { shard, mode, hold, hash, cas } = request
  const noted = isNoted(request)
  if (noted) recallKey(request)
  if (noted) look(request)
  const status = shard.commit(mode, hold, hash, cas.high, cas.low)
  if (noted) noteCommit(request, status)
  return status
}

/**
 * Adds (high, low) of decimal.ts to an item with the request's CAS, any if that is 0, or subtracts
 * it: OK, MISS, EXISTS, NON_NUMERIC or NO_MEMORY.
 */
export function adjust(
  cache: Cache,
  request: Request,
  subtract: boolean,
  high: number,
  low: number,
): Status {
  const hash = locate(cache, request)
  const { area, keyStart, keyBytes, cas, shard } = request
  if (isNoted(request)) lookAndNote(request)
  return shard.adjust(hash, area, keyStart, keyBytes, subtract, high, low, cas.high, cas.low)
}

/** As `adjust`, but a miss makes an item of the initial number with the request's exptime. */
export function adjustOrAdd(
  cache: Cache,
  request: Request,
  subtract: boolean,
  high: number,
  low: number,
  initialHigh: number,
  initialLow: number,
): Status {
  const hash = locate(cache, request)
  const { cas } = request
  if (isNoted(request)) lookAndNote(request)
  return request.shard.adjustOrAdd(
    hash,
    request.area,
    request.keyStart,
    request.keyBytes,
    subtract,
    high,
    low,
    cas.high,
    cas.low,
    initialHigh,
    initialLow,
    endOf(request),
  )
}

/** Offers the item, or one made on the terms, to the sink: OK, MISS, NO_ROOM, HELD or NO_MEMORY. */
export function fetchOn(cache: Cache, request: Request, terms: Terms, sink: HitSink): Status {
  const hash = locate(cache, request)
  const { area, keyStart, keyBytes, hold, shard } = request
  setTimes(request, terms)
  const noted = isNoted(request)
  if (noted) look(request)
  const status = onTerms.fetchOn(shard, hash, area, keyStart, keyBytes, terms, sink, hold)
  if (noted) noteGet(request, status)
  return status
}

/** Shows the item to the sink, which is no hit: OK or MISS. */
export function peek(cache: Cache, request: Request, sink: HitSink): Status {
  const hash = locate(cache, request)
  if (isNoted(request)) lookAndNote(request)
  return onTerms.peek(request.shard, hash, request.area, request.keyStart, request.keyBytes, sink)
}

/** Deletes, marks stale or clears, as the terms say: OK, MISS, EXISTS or NO_MEMORY. */
export function removeOn(cache: Cache, request: Request, terms: Terms): Status {
  const hash = locate(cache, request)
  setTimes(request, terms)
  const noted = isNoted(request)
  if (noted) look(request)
  const { shard, area, keyStart, keyBytes } = request
  const status = onTerms.removeOn(shard, hash, area, keyStart, keyBytes, terms)
  if (noted) noteRemove(request, status, true)
  return status
}

/** As `store`, on terms. */
export function storeOn(
  cache: Cache,
  request: Request,
  terms: Terms,
  value: Area,
  start: number,
): Status {
  const hash = locate(cache, request)
  const noted = isNoted(request)
  if (noted) lookOn(request, terms)
  const status = onTerms.storeOn(
    request.shard,
    hash,
    request.area,
    request.keyStart,
    request.keyBytes,
    endOnTerms(request, terms),
    terms,
    value,
    start,
    request.valueBytes,
  )
  if (status === Status.OK) measure(request)
  if (noted) noteStore(request, status)
  return status
}

/** As `begin`, on terms. */
export function beginOn(cache: Cache, request: Request, terms: Terms): Status {
  const hash = locate(cache, request)
  const noted = isNoted(request)
  if (noted) lookOn(request, terms)
  const status = onTerms.beginOn(
    request.shard,
    hash,
    request.area,
    request.keyStart,
    request.keyBytes,
    endOnTerms(request, terms),
    terms,
    request.valueBytes,
    request.hold,
  )
  if (status === Status.OK) measure(request)
  if (noted) noteBegin(request, status)
  return status
}

/** As `commit`, on the terms on which the store was begun. */
export function commitOn(request: Request, terms: Terms): Status {
  const noted = isNoted(request)
  if (noted) recallKey(request)
  if (noted) lookOn(request, terms)
  const status = onTerms.commitOn(request.shard, request.hold, request.hash, terms)
  if (noted) noteCommit(request, status)
  return status
}

/** As `adjust`, or `adjustOrAdd`, on terms. */
export function adjustOn(
  cache: Cache,
  request: Request,
  terms: Terms,
  subtract: boolean,
  high: number,
  low: number,
  initialHigh: number,
  initialLow: number,
): Status {
  const hash = locate(cache, request)
  setTimes(request, terms)
  if (isNoted(request)) lookAndNote(request)
  return onTerms.adjustOn(
    request.shard,
    hash,
    request.area,
    request.keyStart,
    request.keyBytes,
    subtract,
    high,
    low,
    initialHigh,
    initialLow,
    terms,
  )
}

/**
 * Ends all items: now, or those stored before the delay is over. As in memcached a delay of n ends
 * them with the clock's tick n - 1 seconds from now. An absolute time that is past changes nothing.
 */
export function flushAll(cache: Cache, exptime: number): void {
  for (const shard of cache.shards) {
    const { words } = shard.arena
    if (exptime <= 0) shard.flush(words[CLOCK_S])
    else {
      const atS = expiresAt(words, exptime) - 1
      if (atS > 0) shard.flush(atS)
    }
  }
}

/** Whether anybody wants to know of requests: one load, and one branch where nobody does. */
function isNoted({ journal }: Request): boolean {
  return journal.wanted() !== 0
}

function lookAndNote(request: Request): void {
  look(request)
  noteLook(request)
}

/** As `look`, for a store on terms: they have its mode and flags. */
function lookOn(request: Request, { mode, flags }: Terms): void {
  request.mode = mode
  request.flags = flags
  look(request)
}

function locate(cache: Cache, request: Request): number {
  const hash = hashOf(cache, request.area, request.keyStart, request.keyBytes)
  request.hash = hash
  request.shard = cache.shardOf(hash)
  if (--request.hotKeys.left === 0) sample(cache, request)
  return hash
}

/** A store found room for its value, which may be one of the longest. */
function measure({ hotKeys, hash, area, keyStart, keyBytes, valueBytes }: Request): void {
  if (valueBytes > hotKeys.longBytes) {
    hotKeys.measure(hash, area, keyStart, keyBytes, valueBytes)
  }
}

function sample(cache: Cache, request: Request): void {
  const { hotKeys, shard, hash, area, keyStart, keyBytes } = request
  hotKeys.sample(shard, hash, area, keyStart, keyBytes)
  hotKeys.recheck(cache)
}

function endOf(request: Request): number {
  return expiresAt(request.shard.arena.words, request.exptime)
}

function setTimes(request: Request, terms: Terms): void {
  const { words } = request.shard.arena
  if (terms.touches) terms.touchAtS = expiresAt(words, request.exptime)
  if (terms.creates) terms.createAtS = expiresAt(words, request.createExptime)
  if (terms.recaches) terms.recacheAtS = expiresAt(words, request.recacheExptime)
}

/** When a stored item ends; one that a join may have to make has an end of its own. */
function endOnTerms(request: Request, { mode, creates }: Terms): number {
  const makes = creates && (mode === Mode.APPEND || mode === Mode.PREPEND)
  const exptime = makes ? request.createExptime : request.exptime
  return expiresAt(request.shard.arena.words, exptime)
}
