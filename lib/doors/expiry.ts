// When an item expires: converts a caller's options to seconds from now, and these to an exptime of
// the protocol.

import { RELATIVE_S_MAX } from '../bytes/memcached.ts'
import { refuse } from './arguments.ts'
import type { ExpiryOptions } from './types.ts'

/** Lower numbers are probably seconds, not milliseconds: as milliseconds this is 1973. */
const TIME_MS_MIN = 1e11

/** Absolute times of the protocol are signed 32-bit numbers. */
const TIME_S_MAX = 2 ** 31 - 1

/**
 * Seconds from now until an item expires: Infinity for never, 0 or less for at once. CacheError
 * ARGUMENT for an invalid time. The options have been checked for unknown names.
 */
export function secondsUntil(options: ExpiryOptions | undefined): number {
  if (options === undefined) return Number.POSITIVE_INFINITY
  const { ttlS, expiresAt } = options
  if (expiresAt !== undefined) {
    if (ttlS !== undefined) refuse('expiresAt', 'nothing beside ttlS', expiresAt)
    return (timeMs(expiresAt) - Date.now()) / 1000
  }
  if (ttlS === undefined) return Number.POSITIVE_INFINITY
  if (typeof ttlS === 'number' && ttlS > 0) return ttlS
  return refuse('ttlS', 'seconds above 0 (Infinity: never expires)', ttlS)
}

/** As secondsUntil, but the options must have a time. */
export function secondsUntilTold(options: ExpiryOptions): number {
  if (options?.ttlS === undefined && options?.expiresAt === undefined) {
    refuse('options', 'an object with ttlS or expiresAt', options)
  }
  return secondsUntil(options)
}

/**
 * The exptime of protocol.txt: 0 never, negative at once, above 30 days a Unix time.
 */
export function exptimeOf(seconds: number): number {
  if (seconds === Number.POSITIVE_INFINITY) return 0
  if (seconds <= 0) return -1
  const wholeS = Math.ceil(seconds)
  if (wholeS <= RELATIVE_S_MAX) return wholeS
  const atS = Math.ceil(Date.now() / 1000) + wholeS
  return atS > TIME_S_MAX ? 0 : atS
}

function timeMs(expiresAt: Date | number): number {
  if (expiresAt instanceof Date) {
    const ms = expiresAt.getTime()
    return Number.isNaN(ms) ? refuse('expiresAt', 'a valid Date', expiresAt) : ms
  }
  if (typeof expiresAt === 'number' && expiresAt >= TIME_MS_MIN) return expiresAt
  return refuse('expiresAt', 'a Date, or milliseconds as Date.now() counts them', expiresAt)
}
