// A store of sessions for @fastify/session. Processes share them through a pool.
//
//   app.register(fastifyCookie)
//   app.register(fastifySession, { secret, store: createFastifySessionStore(pool) })
//
// Sessions are those of express-session's store (strategies/session-store.ts): the options are the
// same, and a session that the cache evicts is lost.

import '../client-node-version.ts'
import { EventEmitter } from 'node:events'
import type { Store } from '../doors/types.ts'
import {
  createSessionStore,
  type SessionCalls,
  type SessionOptions,
} from '../strategies/session-store.ts'

/** Errors of the cache are passed to @fastify/session. CacheError ARGUMENT for wrong options. */
export function createFastifySessionStore(
  cache: Store,
  options: SessionOptions = {},
): EventEmitter & SessionCalls {
  return createSessionStore(EventEmitter, cache, options)
}
