// The operations of a peer under access control: each asks the peer's pass first, and a refusal is
// its status. So every protocol has the same rights, whatever it calls its commands. Sessions
// without access control have the operations themselves, and pay nothing.
//
// A value that arrives in pieces is asked for when it begins.

import { type Pass, Verdict } from '../access/pass.ts'
import { Need } from '../access/rights.ts'
import { Status } from '../engine/status.ts'
import { type Operations, operations } from './execute.ts'
import type { Request } from './request.ts'
import { watched } from './watched.ts'

/** A command that changes an item and tells its value. */
const READ_WRITE = Need.READ | Need.WRITE

function guardedBy(inner: Operations): Operations {
  return {
    get(request, sink) {
      const refused = refusal(request, needsOfGet(request))
      return refused === Status.OK ? inner.get(request, sink) : refused
    },
    getAndTouch(request, sink) {
      const refused = refusal(request, READ_WRITE)
      return refused === Status.OK ? inner.getAndTouch(request, sink) : refused
    },
    touch(request) {
      const refused = refusal(request, Need.WRITE)
      return refused === Status.OK ? inner.touch(request) : refused
    },
    peek(request, sink) {
      const refused = refusal(request, Need.READ)
      return refused === Status.OK ? inner.peek(request, sink) : refused
    },
    remove(request) {
      const refused = refusal(request, Need.WRITE)
      return refused === Status.OK ? inner.remove(request) : refused
    },
    store(request, value, start) {
      const refused = refusal(request, Need.WRITE)
      return refused === Status.OK ? inner.store(request, value, start) : refused
    },
    begin(request) {
      const refused = refusal(request, Need.WRITE)
      return refused === Status.OK ? inner.begin(request) : refused
    },
    commit: request => inner.commit(request),
    adjust(request) {
      const refused = refusal(request, READ_WRITE)
      return refused === Status.OK ? inner.adjust(request) : refused
    },
  }
}

export const guarded = guardedBy(operations)
export const guardedWatched = guardedBy(watched)

/** The status of a refused command that names no key; OK: it may run. */
export function refusalOf(pass: Pass | null, needs: number): Status {
  return pass === null ? Status.OK : STATUSES[pass.command(needs)]
}

/** By Verdict. */
const STATUSES: readonly Status[] = [Status.OK, Status.UNAUTHENTICATED, Status.UNAUTHORIZED]

/** A meta get may create, touch or claim its item. */
function needsOfGet(request: Request): number {
  if (request.isPlain) return Need.READ
  const changes = request.creates || request.touches || request.recaches
  return changes ? READ_WRITE : Need.READ
}

function refusal({ pass, area, keyStart, keyBytes }: Request, needs: number): Status {
  const verdict = pass?.key(needs, area.bytes, keyStart, keyBytes) ?? Verdict.ALLOWED
  return STATUSES[verdict]
}
