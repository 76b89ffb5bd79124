// Functions of node:ffi without the checks that Node puts around each of them. A call with checks
// costs 100 to 400 ns: all functions share the code that checks, so V8 cannot compile any of their
// calls into a direct one. Without them a call costs 5 to 10 ns.
//
// The arguments must fit their types: numbers are cut to 32 bits, bigints to 64. An address was
// never checked, with or without this.
//
// Node gives no access to the inner function. But it sets `pointer` on it before it wraps it, and
// whoever has a setter of that name on all functions gets to see it. Where a later Node does this
// in another way, nothing is seen, and its wrapped functions serve as well.

import type { Ffi, FfiDefinitions, FfiFunctions } from './ffi.ts'

type Library = InstanceType<Ffi['DynamicLibrary']>

const POINTER = 'pointer'

/** The functions of a library that lives as long as they do. Throws an Error if one is missing. */
export function uncheckedFunctions<T extends FfiDefinitions>(
  library: Library,
  definitions: T,
): FfiFunctions<T> {
  const inner = new Map<string, unknown>()
  Object.defineProperty(Function.prototype, POINTER, {
    configurable: true,
    set(this: { name: string }, value: bigint) {
      inner.set(this.name, this)
      Object.defineProperty(this, POINTER, { value, configurable: true, writable: true })
    },
  })
  try {
    const checked = library.getFunctions(definitions) as Record<string, unknown>
    const names = Object.keys(definitions)
    return Object.fromEntries(
      names.map(name => [name, inner.get(name) ?? checked[name]]),
    ) as FfiFunctions<T>
  } finally {
    Reflect.deleteProperty(Function.prototype, POINTER)
  }
}
