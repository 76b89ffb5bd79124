/** A store some of whose calls a test replaces: to lose answers, to delay them, to count them. */
import { CacheError } from '../../lib/doors/errors.ts'
import type { Store } from '../../lib/doors/types.ts'

type Calls = Partial<{ [Name in keyof Store]: (...args: Parameters<Store[Name]>) => unknown }>

/** The same store, but with these calls. */
export function withCalls(store: Store, calls: Calls): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const own = calls[name as keyof Store]
      return own ?? Reflect.get(target, name).bind(target)
    },
  })
}

/** A store that answers nothing while it is away. */
export class StalledStore {
  isAway = false
  readonly store: Store

  constructor(store: Store) {
    this.store = new Proxy(store, {
      get: (target, name) => {
        const call = Reflect.get(target, name).bind(target)
        return async (...args: unknown[]) => {
          if (this.isAway) throw new CacheError('TIMEOUT', 'no answer in time')
          return call(...args)
        }
      },
    })
  }
}
