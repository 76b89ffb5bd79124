// What a strategy could not do, and where it says what the caches behind it could not.

/** The longest that a timer of Node waits, ms: with more it ends at once. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Strategies without an `onError` warn at most this often. */
const STRATEGY_WARN_MS = 10_000

export type StrategyErrorCode =
  /** A loader, or somebody else's, was not done in time. */
  | 'DEADLINE'
  /** The queue of writes is full, and stayed so. */
  | 'FULL'
  /** It was closed. */
  | 'CLOSED'

export class StrategyError extends Error {
  readonly code: StrategyErrorCode
  constructor(code: StrategyErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StrategyError'
    this.code = code
  }
}

/** Told of what went wrong while the caller was served without it. */
export type OnError = (error: unknown, key: string) => void

/** The application's own; or warnings of the process, one in ten seconds at most. */
export function reporter(onError: OnError | undefined): OnError {
  if (onError !== undefined) return onError
  let nextMs = 0
  return (error, key) => {
    if (performance.now() < nextMs) return
    nextMs = performance.now() + STRATEGY_WARN_MS
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(`cache strategy, key ${key}: ${reason}`)
  }
}

/** RangeError for what no timer waits for: Node would wait a millisecond instead. */
export function checkMs(name: string, ms: number): void {
  if (ms > 0 && ms <= TIMER_MS_MAX) return
  throw new RangeError(`${name}: milliseconds above 0, at most ${TIMER_MS_MAX}, not ${ms}`)
}

/** RangeError for what is no count of 1 or more. */
export function checkCount(name: string, count: number): void {
  if (count >= 1) return
  throw new RangeError(`${name}: a number from 1 on, not ${count}`)
}
