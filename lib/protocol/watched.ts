// The operations while somebody watches: the basic ones, with log lines for watchers and
// counts for `stats detail` around them. In memcached every request except a refused store begins
// with a lookup of its item, which watchers see. Here that is an extra lookup, made only while
// somebody watches.
//
// While the cache is filled with items of the past, keys are noted here before they are changed:
// the fill must not undo that (engine/storing/changed-keys.ts).

import { classFor } from '../engine/chunks/slabs.ts'
import { itemBytes, newMeta } from '../engine/items/item.ts'
import { Mode, Status } from '../engine/status.ts'
import { Found, Glance } from '../observe/glance.ts'
import { Kind } from '../observe/journal.ts'
import { PrefixCount } from '../observe/prefixes.ts'
import { type Operations, operations } from './execute.ts'
import type { Request } from './request.ts'

export const watched: Operations = {
  get(request, sink) {
    if (!request.isPlain && (request.creates || request.touches)) noteChange(request)
    look(request)
    return noteGet(request, operations.get(request, sink))
  },
  getAndTouch(request, sink) {
    noteChange(request)
    look(request)
    return noteGet(request, operations.getAndTouch(request, sink))
  },
  touch(request) {
    noteChange(request)
    look(request)
    noteLook(request)
    return operations.touch(request)
  },
  peek(request, sink) {
    look(request)
    noteLook(request)
    return operations.peek(request, sink)
  },
  remove(request) {
    noteChange(request)
    look(request)
    return noteRemove(request, operations.remove(request))
  },
  store(request, value, start) {
    noteChange(request)
    look(request)
    const status = operations.store(request, value, start)
    countPrefix(request, PrefixCount.SET)
    return noteCommit(request, status)
  },
  begin(request) {
    noteChange(request)
    look(request)
    const status = operations.begin(request)
    if (status === Status.BUSY) return status
    countPrefix(request, PrefixCount.SET)
    if (status !== Status.OK) noteRefusal(request, status)
    return status
  },
  commit(request) {
    recallKey(request)
    look(request)
    return noteCommit(request, operations.commit(request))
  },
  adjust(request) {
    noteChange(request)
    look(request)
    noteLook(request)
    return operations.adjust(request)
  },
}

/** Notes, before the lock is taken, that a key may change. */
function noteChange({ journal, cache, hash }: Request): void {
  if (journal.wants(Kind.CHANGES)) cache.changed?.mark(hash)
}

/** The item before the request, and the item after a store, or as it would have been. */
const before = new Glance()
const after = new Glance()

/** Looks the item up before the request runs. */
function look(request: Request, glance = before): void {
  const { shard, hash, area, keyStart, keyBytes } = request
  glance.clear()
  shard.inspect(hash, area, keyStart, keyBytes, glance)
}

/** Logs the result of `look`. */
function noteLook(request: Request): void {
  const { journal, peerId } = request
  if (!journal.wants(Kind.FETCHERS)) return
  if (before.found !== Found.FOUND) before.set(0, 0, 0)
  journal.looked(peerId, request, before)
}

/** A get is logged once, not each time that its reply had no room. */
function noteGet(request: Request, status: Status): Status {
  if (status === Status.NO_ROOM) return status
  countPrefix(request, PrefixCount.GET)
  if (status !== Status.MISS) countPrefix(request, PrefixCount.HIT)
  noteLook(request)
  return status
}

function noteRemove(request: Request, status: Status): Status {
  const { journal } = request
  countPrefix(request, PrefixCount.DELETE)
  // An item marked as stale still exists: as in memcached, that is not logged as a deletion.
  const isDeleted = status === Status.OK && (request.isPlain || !request.invalidates)
  const isWanted = isDeleted && journal.wants(Kind.DELETIONS)
  noteLook(request)
  if (isWanted) journal.deleted(request, before)
  return status
}

/** Logs the outcome of a store, with the item as it is now or would have been. */
function noteCommit(request: Request, status: Status): Status {
  if (status === Status.LOST) return status
  if (status === Status.TOO_LARGE || status === Status.NO_MEMORY) {
    noteRefusal(request, status)
    return status
  }
  noteLook(request)
  if (!request.journal.wants(Kind.MUTATIONS)) return status
  if (status === Status.OK) look(request, after)
  else expect(request)
  noteStored(request, status)
  return status
}

function noteRefusal(request: Request, status: Status): void {
  after.clear()
  noteStored(request, status)
  if (request.mode === Mode.SET) noteLook(request)
}

/** The item that a refused store would have made. */
function expect({ shard, keyBytes, flags, valueBytes, expiresAtS }: Request): void {
  const { arena } = shard
  const meta = newMeta(keyBytes, flags, expiresAtS, 0, 0)
  const classId = classFor(arena, (itemBytes(meta, valueBytes) + 3) >> 2) || arena.baseClasses
  after.set(classId, valueBytes, expiresAtS === 0 ? 0 : expiresAtS - shard.nowS())
}

function noteStored(request: Request, status: Status): void {
  const { journal, peerId } = request
  if (journal.wants(Kind.MUTATIONS)) journal.stored(peerId, request, status, after)
}

/** Restores the key of a request whose value came in pieces, since the input has changed. */
function recallKey(request: Request): void {
  before.keyBytes = 0
  request.shard.inspectHeld(request.hold, before)
  request.setKey(before.key, 0, before.keyBytes, request.hash)
}

function countPrefix({ journal, area, keyStart, keyBytes }: Request, what: number): void {
  if (journal.wants(Kind.PREFIXES)) journal.prefixes.count(area.bytes, keyStart, keyBytes, what)
}
