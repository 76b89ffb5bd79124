// The calls of a pool under an AbortSignal: each rejects with the reason of the signal as soon as
// it is aborted. What was sent then is executed all the same; what begins later is not sent.

import type { Store } from '../doors/types.ts'

/** The calls of a pool that give promises, without its end and its list of keys. */
export type Calls = Omit<Store<'async'>, 'close' | 'keys'>

const CALLS: Record<keyof Calls, true> = {
  get: true,
  getItem: true,
  getMany: true,
  getManyItems: true,
  getAndTouch: true,
  has: true,
  set: true,
  add: true,
  replace: true,
  append: true,
  prepend: true,
  cas: true,
  casItem: true,
  delete: true,
  touch: true,
  incr: true,
  decr: true,
  lease: true,
  expire: true,
  flush: true,
}

type Call = (...args: unknown[]) => Promise<unknown>

/** `calls`, each under this signal. */
export function withSignal(calls: Calls, signal: AbortSignal): Calls {
  const under = (name: string): Call => {
    const call = calls[name as keyof Calls] as Call
    return async (...args) => {
      signal.throwIfAborted()
      return race(call.apply(calls, args), signal)
    }
  }
  return Object.fromEntries(Object.keys(CALLS).map(name => [name, under(name)])) as unknown as Calls
}

function race<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    const done = () => signal.removeEventListener('abort', abort)
    signal.addEventListener('abort', abort, { once: true })
    work.finally(done).then(resolve, reject)
  })
}
