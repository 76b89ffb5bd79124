// Reports errors of a strategy that did not affect the caller.

import { tellError } from './telling.ts'

/** Strategies without an `onError` warn at most this often. */
const WARN_MS = 10_000

/** Called with the error and its key. */
export type OnError = (error: unknown, key: string) => void

/**
 * The application's `onError`, or warnings of the process, at most one in ten seconds. An `onError`
 * that throws gives a warning too: nobody waits for it.
 */
export function reporter(onError: OnError | undefined): OnError {
  let nextMs = 0
  const warn: OnError = (error, key) => {
    if (performance.now() < nextMs) return
    nextMs = performance.now() + WARN_MS
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(`cache strategy, key ${key}: ${reason}`)
  }
  const report = onError ?? warn
  return (error, key) => {
    tellError(key, error)
    try {
      report(error, key)
    } catch (thrown) {
      warn(thrown, key)
    }
  }
}
