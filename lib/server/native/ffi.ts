// Node's door to native code, node:ffi. This is the only file that opens it.
//
// node:ffi is experimental, so nothing may depend on it. loadFfi returns undefined where it is
// missing or not allowed, and the callers (libc.ts, tls/openssl.ts) then do without. Two more rules
// hold for both: a change of its interface counts as missing, and memory whose address was given
// away is kept alive by the code that gave it, because the garbage collector does not see
// addresses.

import type { FunctionDefinitions, WrappedFunctionsFromDefinitions } from 'node:ffi'

export type Ffi = typeof import('node:ffi')

/** Names, arguments and results of functions. */
export type FfiDefinitions = FunctionDefinitions

/** The functions of these definitions. */
export type FfiFunctions<T extends FfiDefinitions> = WrappedFunctionsFromDefinitions<T>

/**
 * The functions of a library object, which must live as long as they do. Throws an Error if one is
 * missing. Node checks the arguments of each call, in code that all functions share: a call costs
 * 100 to 400 ns. The functions inside are faster, but crash when threads end and start beside them.
 */
export function functionsOf<T extends FfiDefinitions>(
  library: InstanceType<Ffi['DynamicLibrary']>,
  definitions: T,
): FfiFunctions<T> {
  return library.getFunctions(definitions) as FfiFunctions<T>
}

/** An address as a number: those of user memory are below 2^47. */
export type Address = number

/** Undefined: this Node has none. Its warning on stderr, that it is experimental, is left out. */
export function loadFfi(): Ffi | undefined {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule('node:ffi') as Ffi | undefined
  } finally {
    process.emitWarning = emitWarning
  }
}
