// A moment that another process can compare with its own now, though the wall clock may have been
// set in between, or be wrong: the time since the machine was started tells too, as long as it is
// the same start.

import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { BOOT_ID_BYTES } from './layout.ts'

export interface Moment {
  /** Unix time, milliseconds. */
  wallMs: number
  /** How long the machine had been up, milliseconds. */
  uptimeMs: number
  /** Names its start, in hex; zeros: unknown. */
  bootId: string
}

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'
const UNKNOWN = '00'.repeat(BOOT_ID_BYTES)

/** Clocks of different machines may differ by this, seconds. */
const CLOCKS_DIFFER_S_MAX = 60

export function momentNow(): Moment {
  return { wallMs: Date.now(), uptimeMs: Math.floor(uptime() * 1000), bootId: bootId() }
}

/**
 * Whole seconds from `then` to `now`, rounded up. Null: the clock is before `then`, so that nobody
 * can tell.
 */
export function secondsBetween(then: Moment, now: Moment): number | null {
  if (then.bootId !== UNKNOWN && then.bootId === now.bootId && now.uptimeMs >= then.uptimeMs) {
    return Math.ceil((now.uptimeMs - then.uptimeMs) / 1000)
  }
  const seconds = Math.ceil((now.wallMs - then.wallMs) / 1000)
  if (seconds >= 0) return seconds
  return seconds >= -CLOCKS_DIFFER_S_MAX ? 0 : null
}

function bootId(): string {
  try {
    const hex = readFileSync(BOOT_ID_FILE, 'latin1').replaceAll('-', '').trim()
    return hex.length === UNKNOWN.length ? hex : UNKNOWN
  } catch {
    return UNKNOWN
  }
}
