// The operations while a read is timed for `stats latency`: those of execute.ts, each followed by
// its time. Sessions run one at a time in a thread, so one clock serves them all.

import { LATENCY_COMMANDS, type Latency } from '../observe/latency.ts'
import { type Operations, operations } from './execute.ts'

type Command = (typeof LATENCY_COMMANDS)[number]

let clock: Latency | null = null

/** The operations for the requests of a read that begins now. */
export function operationsOf(latency: Latency): Operations {
  if (!latency.begins()) return operations
  clock = latency
  return timed
}

const timed: Operations = {
  get: (request, sink) => noted('get', operations.get(request, sink)),
  getAndTouch: (request, sink) => noted('gat', operations.getAndTouch(request, sink)),
  touch: request => noted('touch', operations.touch(request)),
  peek: (request, sink) => noted('me', operations.peek(request, sink)),
  remove: request => noted('delete', operations.remove(request)),
  store: (request, value, start) => noted('set', operations.store(request, value, start)),
  begin: request => operations.begin(request),
  commit: request => noted('set', operations.commit(request)),
  adjust: request => noted('incr', operations.adjust(request)),
}

function noted<T>(command: Command, status: T): T {
  clock?.note(LATENCY_COMMANDS.indexOf(command))
  return status
}
