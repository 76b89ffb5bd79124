// Sessions of express-session in a cache. Several processes share them through a pool, the threads of
// one through a LocalCache.
//
//   app.use(session({ secret, store: createSessionStore(session.Store, cache) }))
//
// A session that the cache evicted is gone: give it memory for all of them.

import { json } from '../serializer.ts'
import { decode, encode } from './encoding.ts'
import { exptimeOf, fitKey, type Store } from './store.ts'

/** What a session without an end of its own lives, seconds. */
const SESSION_TTL_S = 86_400

/** What a session's data has, as express-session hands it over. */
export interface SessionFacts {
  cookie: {
    /** Nothing, or `false` as older applications have it: with the browser. */
    expires?: Date | string | boolean | null | undefined
    originalMaxAge?: number | null | undefined
  }
}

export interface SessionOptions {
  /** How long a session without an end of its own lives after it was last used, seconds. Default a day. */
  ttlS?: number
  /** What stands before session ids in the cache. Default `session:`. */
  prefix?: string
}

type Callback<T extends unknown[] = []> = (error?: unknown, ...result: T) => void

/** The calls of express-session that a store answers. */
export interface SessionCalls {
  get(id: string, callback: Callback<[session?: never]>): void
  set(id: string, session: SessionFacts, callback?: Callback): void
  touch(id: string, session: SessionFacts, callback?: Callback): void
  destroy(id: string, callback?: Callback): void
}

/**
 * A store for express-session, of whose class it is; `Base` is its `session.Store`. Errors of the
 * cache reach the callbacks.
 */
export function createSessionStore<Base extends object>(
  Base: abstract new () => Base,
  cache: Store,
  { ttlS = SESSION_TTL_S, prefix = 'session:' }: SessionOptions = {},
): Base & SessionCalls {
  const keyOf = (id: string) => fitKey(prefix + id)
  const calls: SessionCalls = {
    get: (id, callback) => answer(callback, async () => read(cache, keyOf(id))),
    set: (id, session, callback) =>
      answer(callback, async () => {
        const endsS = secondsOf(session, ttlS)
        if (endsS <= 0) return void (await cache.delete(keyOf(id)))
        const { bytes, flags } = encode(session, json)
        await cache.set(keyOf(id), bytes, { ttlS: exptimeOf(endsS), flags })
      }),
    touch: (id, session, callback) =>
      answer(callback, async () => {
        const endsS = secondsOf(session, ttlS)
        if (endsS <= 0) await cache.delete(keyOf(id))
        else await cache.touch(keyOf(id), exptimeOf(endsS))
      }),
    destroy: (id, callback) => answer(callback, async () => void (await cache.delete(keyOf(id)))),
  }
  return Object.assign(Reflect.construct(Base, []) as Base, calls)
}

async function read(cache: Store, key: string): Promise<never> {
  const item = await cache.gets(key)
  return (item === undefined ? undefined : decode(item, json)) as never
}

/** How long a session still lives. */
function secondsOf({ cookie }: SessionFacts, ttlS: number): number {
  const { expires } = cookie
  if (!(expires instanceof Date || typeof expires === 'string')) return ttlS
  return (new Date(expires).getTime() - Date.now()) / 1000
}

function answer<T>(callback: Callback<[result?: T]> | undefined, work: () => Promise<T>): void {
  work().then(
    result => callback?.(null, result),
    error => callback?.(error),
  )
}
