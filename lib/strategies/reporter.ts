// Where a strategy says what went wrong while the caller was served all the same.

/** Strategies without an `onError` warn at most this often. */
const WARN_MS = 10_000

/** Called with what went wrong, and the key it was about. */
export type OnError = (error: unknown, key: string) => void

/** The application's own; or warnings of the process, one in ten seconds at most. */
export function reporter(onError: OnError | undefined): OnError {
  if (onError !== undefined) return onError
  let nextMs = 0
  return (error, key) => {
    if (performance.now() < nextMs) return
    nextMs = performance.now() + WARN_MS
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(`cache strategy, key ${key}: ${reason}`)
  }
}
