// Flags of V8's optimizing compiler for the daemon. A request passes through many small functions,
// and by default the compiler stops inlining before it has inlined all of them.

import { setFlagsFromString } from 'node:v8'

/**
 * Longest bytecode of a function that is inlined, and of all functions inlined into one, bytes
 * (V8's defaults: 460 and 920).
 */
const INLINED_FUNCTION_BYTES_MAX = 1000
const INLINED_TOTAL_BYTES_MAX = 3000

export const COMPILER_FLAGS = [
  `--max-inlined-bytecode-size=${INLINED_FUNCTION_BYTES_MAX}`,
  `--max-inlined-bytecode-size-cumulative=${INLINED_TOTAL_BYTES_MAX}`,
] as const

/**
 * Sets the flags for all threads of the process. To be called after they have loaded their code:
 * the compiled code on disk, and Node's own, was made without these flags and would be rejected.
 */
export function inlineMore(): void {
  for (const flag of COMPILER_FLAGS) setFlagsFromString(flag)
}
