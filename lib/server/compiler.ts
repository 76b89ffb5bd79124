// What V8's optimizing compiler is told of the daemon's process. A request passes through many small
// functions; by default the compiler stops to put them into one another before it has all of them.

import { setFlagsFromString } from 'node:v8'

/**
 * Bytecode of a function that the compiler puts into the one that calls it, and of all that it puts
 * into one (V8: 460 and 920), bytes.
 */
const INLINED_FUNCTION_BYTES_MAX = 1000
const INLINED_TOTAL_BYTES_MAX = 2000

export const COMPILER_FLAGS = [
  `--max-inlined-bytecode-size=${INLINED_FUNCTION_BYTES_MAX}`,
  `--max-inlined-bytecode-size-cumulative=${INLINED_TOTAL_BYTES_MAX}`,
] as const

/**
 * For all threads, as long as the process lives. Once they have loaded their code: what is kept of it
 * on disk, and Node's own, is of a process without these flags.
 */
export function inlineMore(): void {
  for (const flag of COMPILER_FLAGS) setFlagsFromString(flag)
}
