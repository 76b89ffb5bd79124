/** A store some of whose calls a test replaces: to lose answers, to delay them, to count them. */
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
