// The pool of the daemon's threads. It is a separate file, so that the first thread starts and
// loads its code while the main thread still loads its own.

import { Piscina } from 'piscina'
import type { TaskPool, Tasks } from './tasks.ts'
import type { ThreadPool } from './workers.ts'

/** The URL of the file that each thread loads first. */
export const ENTRY = entryOf('entry')
const TASKS = entryOf('keeping')

/** A pool for `threads` threads, one of which is started. */
export function openPool(threads: number): ThreadPool {
  return openThreads(ENTRY, threads)
}

/** Threads for tasks that end. */
export function openTaskPool(threads: number): TaskPool {
  const pool = openThreads(TASKS, threads)
  return {
    run: (name, task) => pool.run(task, { name }) as object as ReturnType<Tasks[typeof name]>,
    close: () => pool.destroy(),
  }
}

function entryOf(name: string): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`../../workers/${name}.${extension}`, import.meta.url).href
}

function openThreads(filename: string, threads: number): ThreadPool {
  const pool = new Piscina({
    filename,
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
