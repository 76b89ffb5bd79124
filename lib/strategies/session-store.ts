// Sessions of express-session in a cache. Processes share them through a pool, threads of one
// process through a LocalCache.
//
//   app.use(session({ secret, store: createSessionStore(session.Store, cache) }))
//
// A session that the cache evicts is lost: give the cache memory for all sessions.

import { checkOptions, checkType, numberOption } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import type { ExpiryOptions, Store } from '../doors/types.ts'
import { json } from '../serializer.ts'
import { decode, encode } from './encoding.ts'
import { fitKey } from './keys.ts'

/** TTL of a session whose cookie has no expiry, seconds. */
const SESSION_TTL_S = 86_400

/** A session's data, as express-session passes it. */
export interface SessionFacts {
  /** Undefined where an application stores sessions itself. */
  cookie?:
    | {
        /** Undefined, or `false` in older applications: the cookie has no expiry. */
        expires?: Date | string | boolean | null | undefined
        originalMaxAge?: number | null | undefined
      }
    | undefined
}

export interface SessionOptions {
  /** TTL since the last use, for sessions whose cookie has no expiry, seconds. Default a day. */
  ttlS?: number | undefined
  /** Prefix of session ids in the cache. Default `session:`. */
  prefix?: string | undefined
}

type Callback<T extends unknown[] = []> = (error?: unknown, ...result: T) => void

/** The methods that express-session calls. */
export interface SessionCalls {
  get(id: string, callback: Callback<[session?: never]>): void
  set(id: string, session: SessionFacts, callback?: Callback): void
  touch(id: string, session: SessionFacts, callback?: Callback): void
  destroy(id: string, callback?: Callback): void
}

/**
 * A store for express-session, derived from `Base`, which is `session.Store`. Errors of the cache
 * are passed to the callbacks.
 */
export function createSessionStore<Base extends object>(
  Base: abstract new () => Base,
  cache: Store,
  options: SessionOptions = {},
): Base & SessionCalls {
  checkOptions(options, ['ttlS', 'prefix'])
  const { prefix = 'session:' } = options
  const { MIN_VALUE, POSITIVE_INFINITY } = Number
  const ttlS = numberOption(options, 'ttlS', SESSION_TTL_S, [MIN_VALUE, POSITIVE_INFINITY])
  checkType('prefix', prefix, 'string')
  const keyOf = (id: string) => fitKey(prefix + id)
  const calls: SessionCalls = {
    get: (id, callback) => answer(callback, async () => read(cache, keyOf(id))),
    set: (id, session, callback) =>
      answer(callback, async () => {
        const expiry = expiryOf(session, ttlS)
        if (isPast(expiry)) return void (await cache.delete(keyOf(id)))
        const { bytes, flags } = encode(session, json)
        if (await cache.set(keyOf(id), bytes, { ...expiry, flags })) return
        throw new CacheError('CONNECTION', 'the server of the session is away: it was not stored')
      }),
    touch: (id, session, callback) =>
      answer(callback, async () => {
        const expiry = expiryOf(session, ttlS)
        if (isPast(expiry)) await cache.delete(keyOf(id))
        else await cache.touch(keyOf(id), expiry)
      }),
    destroy: (id, callback) => answer(callback, async () => void (await cache.delete(keyOf(id)))),
  }
  return Object.assign(Reflect.construct(Base, []) as Base, calls)
}

async function read(cache: Store, key: string): Promise<never> {
  const item = await cache.getItem<Buffer>(key, { as: 'bytes' })
  return (item === undefined ? undefined : decode(item, json)) as never
}

/** A session expires with its cookie, or after its own time. */
function expiryOf({ cookie }: SessionFacts, ttlS: number): ExpiryOptions {
  const expires = cookie?.expires
  if (!(expires instanceof Date || typeof expires === 'string')) return { ttlS }
  return { expiresAt: new Date(expires) }
}

function isPast({ expiresAt }: ExpiryOptions): boolean {
  return expiresAt instanceof Date && expiresAt.getTime() <= Date.now()
}

function answer<T>(callback: Callback<[result?: T]> | undefined, work: () => Promise<T>): void {
  work().then(
    result => callback?.(null, result),
    error => callback?.(error),
  )
}
