// The operations while a read is timed for `stats latency`: the basic ones, each followed by its
// time. Sessions run one at a time in a thread, so one clock serves them all.

import { LATENCY_COMMANDS, type Latency } from '../observe/latency.ts'
import { type Operations, operations } from './execute.ts'
import type { Host } from './host.ts'
import { basicOperations } from './sampled.ts'

type Command = (typeof LATENCY_COMMANDS)[number]

let clock: Latency | null = null
let basic: Operations = operations

/** The operations for the requests of a read that begins now. */
export function operationsOf({ latency, sampler }: Pick<Host, 'latency' | 'sampler'>): Operations {
  if (!latency.begins()) return basicOperations(sampler)
  clock = latency
  basic = basicOperations(sampler)
  return timed
}

const timed: Operations = {
  get: (request, sink) => noted('get', basic.get(request, sink)),
  getAndTouch: (request, sink) => noted('gat', basic.getAndTouch(request, sink)),
  touch: request => noted('touch', basic.touch(request)),
  peek: (request, sink) => noted('me', basic.peek(request, sink)),
  remove: request => noted('delete', basic.remove(request)),
  store: (request, value, start) => noted('set', basic.store(request, value, start)),
  begin: request => basic.begin(request),
  commit: request => noted('set', basic.commit(request)),
  adjust: request => noted('incr', basic.adjust(request)),
}

function noted<T>(command: Command, status: T): T {
  clock?.note(LATENCY_COMMANDS.indexOf(command))
  return status
}
