// The threads of the daemon, before they have anything to do. Apart from the rest so that the first of
// them starts, and loads its code, while the main thread still loads its own.

import { Piscina } from 'piscina'
import type { ThreadPool } from './workers.ts'

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
/** What each thread loads first, a URL. */
export const ENTRY = new URL(`../../workers/entry.${EXTENSION}`, import.meta.url).href

/** Room for so many threads, of which one is started. */
export function openPool(threads: number): ThreadPool {
  const pool = new Piscina({
    filename: ENTRY,
    minThreads: 1,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    atomics: 'disabled',
  })
  // Threads may fail before there are Workers, which count and report such failures from then on.
  pool.on('error', () => {})
  // piscina takes its type of a transfer list from an overload that newer Node types put last.
  return pool as object as ThreadPool
}
