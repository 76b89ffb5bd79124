// What execute.ts notes of a request while somebody wants to know: lines for those who watch, counts
// for `stats detail`. As in memcached every request but a refused store begins with a look at its
// item, and watchers see that look; here it is one of its own, made only while they are there.

import { Area, copyBytes } from '../bytes/area.ts'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'
import type { Arena } from '../engine/arena/arena.ts'
import { expiresAt } from '../engine/arena/clock.ts'
import type { Ref } from '../engine/arena/layout.ts'
import * as L from '../engine/arena/layout.ts'
import { classFor } from '../engine/chunks/slabs.ts'
import { endOf, itemBytes, keyAt } from '../engine/items/item.ts'
import { isExpired, isFlushed } from '../engine/items/links.ts'
import type { HitSink } from '../engine/shard.ts'
import { Mode, Status } from '../engine/status.ts'
import { Found, Kind } from '../observe/journal.ts'
import { PrefixCount } from '../observe/prefixes.ts'
import type { Request } from './request.ts'

/** What an item is like at the moment. */
class Glance implements HitSink {
  found = 0
  classId = 0
  valueBytes = 0
  ttlS = 0
  readonly key = Area.allocate(KEY_BYTES_MAX)
  keyBytes = 0

  clear(): void {
    this.found = Found.NOT_FOUND
    this.classId = 0
    this.valueBytes = 0
    this.ttlS = 0
  }

  accept(arena: Arena, ref: Ref): Status {
    const { words } = arena
    const meta = words[ref + L.ITEM_META]
    this.keyBytes = L.metaKeyBytes(meta)
    copyBytes(arena.area, keyAt(arena, ref), this.key, 0, this.keyBytes)
    this.found = Found.FOUND
    if (isFlushed(arena, ref)) this.found = Found.FLUSHED
    else if (isExpired(arena, ref)) this.found = Found.EXPIRED
    const endsAtS = endOf(arena, ref)
    this.classId = L.metaClass(meta)
    this.valueBytes = words[ref + L.ITEM_VALUE_BYTES]
    this.ttlS = endsAtS === 0 ? 0 : endsAtS - words[L.CLOCK_S]
    return Status.OK
  }
}

const glance = new Glance()

/** Looks at the item of a located request, before anything happens to it. */
export function look(request: Request): void {
  const { shard, hash, area, keyStart, keyBytes } = request
  glance.clear()
  shard.inspect(hash, area, keyStart, keyBytes, glance)
}

/** Says what `look` saw. */
export function noteLook({ journal, peerId, area, keyStart, keyBytes }: Request): void {
  if (!journal.wants(Kind.FETCHERS)) return
  const { found, classId, valueBytes } = glance
  const isFound = found === Found.FOUND
  const [shownClass, shownBytes] = isFound ? [classId, valueBytes] : [0, 0]
  journal.looked(peerId, area, keyStart, keyBytes, found, shownClass, shownBytes)
}

/** A get, after `look`: it is noted once, not each time that its reply had no room. */
export function noteGet(request: Request, status: Status): void {
  if (status === Status.NO_ROOM) return
  countPrefix(request, PrefixCount.GET)
  if (status !== Status.MISS) countPrefix(request, PrefixCount.HIT)
  noteLook(request)
}

/** A delete, after `look`. */
export function noteRemove(request: Request, status: Status, isMeta: boolean): void {
  const { journal, area, keyStart, keyBytes } = request
  countPrefix(request, PrefixCount.DELETE)
  noteLook(request)
  if (status !== Status.OK || !journal.wants(Kind.DELETIONS)) return
  journal.deleted(area, keyStart, keyBytes, isMeta, glance.classId, glance.valueBytes)
}

/** A store of a value that was there whole, after `look`. */
export function noteStore(request: Request, status: Status): void {
  countPrefix(request, PrefixCount.SET)
  noteCommit(request, status)
}

/** A store was begun, or refused before its value was looked at; after `look`. */
export function noteBegin(request: Request, status: Status): void {
  countPrefix(request, PrefixCount.SET)
  if (status !== Status.OK) noteRefusal(request, status)
}

/** What became of a store: what is there now, or would be; after `look`. */
export function noteCommit(request: Request, status: Status): void {
  if (status === Status.LOST) return
  if (status === Status.TOO_LARGE || status === Status.NO_MEMORY) {
    return noteRefusal(request, status)
  }
  noteLook(request)
  if (!request.journal.wants(Kind.MUTATIONS)) return
  const { shard, valueBytes, keyBytes, flags } = request
  if (status === Status.OK) {
    look(request)
    noteStored(request, status, glance.ttlS, glance.classId, glance.valueBytes)
  } else {
    const ttlS = ttlOf(request)
    const state = ttlS === 0 ? 0 : L.STATE_ENDS
    const words = (itemBytes(keyBytes, flags, valueBytes, state) + 3) >> 2
    const classId = classFor(shard.arena, words) || shard.arena.baseClasses
    noteStored(request, status, ttlS, classId, valueBytes)
  }
}

function noteRefusal(request: Request, status: Status): void {
  noteStored(request, status, 0, 0, 0)
  if (request.mode === Mode.SET) noteLook(request)
}

/** Gives a request whose value came in pieces its key back: the input has moved on. */
export function recallKey(request: Request): void {
  glance.keyBytes = 0
  request.shard.inspectHeld(request.hold, glance)
  request.setKey(glance.key, 0, glance.keyBytes)
}

function ttlOf({ shard, exptime }: Request): number {
  const { words } = shard.arena
  const endsAtS = expiresAt(words, exptime)
  return endsAtS === 0 ? 0 : endsAtS - words[L.CLOCK_S]
}

function noteStored(
  { journal, peerId, area, keyStart, keyBytes, mode }: Request,
  status: Status,
  ttlS: number,
  classId: number,
  valueBytes: number,
): void {
  if (!journal.wants(Kind.MUTATIONS)) return
  journal.stored(peerId, area, keyStart, keyBytes, status, mode, ttlS, classId, valueBytes)
}

function countPrefix({ journal, area, keyStart, keyBytes }: Request, what: number): void {
  if (journal.wants(Kind.PREFIXES)) journal.prefixes.count(area.bytes, keyStart, keyBytes, what)
}
