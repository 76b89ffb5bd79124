// The pool of the daemon's threads. It is a separate file, so that the first thread starts and
// loads its code while the main thread still loads its own.

import { Piscina } from 'piscina'
import type { ThreadPool } from './workers.ts'

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
/** The URL of the file that each thread loads first. */
export const ENTRY = new URL(`../../workers/entry.${EXTENSION}`, import.meta.url).href

/** A pool for `threads` threads, one of which is started. */
export function openPool(threads: number): ThreadPool {
  const pool = new Piscina({
    filename: ENTRY,
    minThreads: 1,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    atomics: 'disabled',
  })
  // Threads may fail before Workers exists, which counts and reports such failures.
  pool.on('error', () => {})
  // piscina derives the type of a transfer list from an overload that newer Node types order
  // differently.
  return pool as object as ThreadPool
}
