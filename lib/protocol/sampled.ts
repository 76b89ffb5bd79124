// The operations while keys are sampled (observe/miniature/): those of execute.ts, each followed by
// one comparison of the request's hash. Where sampling is off they are not used at all.

import { Status } from '../engine/status.ts'
import { isJoin } from '../engine/storing/terms.ts'
import type { Sampler } from '../observe/miniature/key-sampler.ts'
import { type Operations, operations } from './execute.ts'
import type { Request } from './request.ts'

/** The operations of requests that nobody watches or times. */
export function basicOperations({ isOn }: Sampler): Operations {
  return isOn ? sampled : operations
}

const sampled: Operations = {
  get(request, sink) {
    const status = operations.get(request, sink)
    if (request.sampler.takes(request.hash)) noteFetch(request, status)
    return status
  },
  getAndTouch(request, sink) {
    const status = operations.getAndTouch(request, sink)
    if (request.sampler.takes(request.hash)) noteFetch(request, status)
    return status
  },
  touch(request) {
    const status = operations.touch(request)
    if (request.sampler.takes(request.hash)) noteFetch(request, status)
    return status
  },
  peek: (request, sink) => operations.peek(request, sink),
  remove(request) {
    const status = operations.remove(request)
    if (request.sampler.takes(request.hash)) noteRemove(request, status)
    return status
  },
  store(request, value, start) {
    if (!request.sampler.takes(request.hash)) return operations.store(request, value, start)
    const isNew = !request.sampler.finds(request.shard, request)
    const status = operations.store(request, value, start)
    noteStore(request, status, isNew)
    return status
  },
  begin(request) {
    const status = operations.begin(request)
    // At its end the key is there no more.
    if (request.sampler.takes(request.hash)) noteBegin(request, status)
    return status
  },
  commit: request => operations.commit(request),
  adjust: request => operations.adjust(request),
}

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

function noteBegin(request: Request, status: Status): void {
  if (status !== Status.OK) return
  noteStore(request, status, !request.sampler.finds(request.shard, request))
}
