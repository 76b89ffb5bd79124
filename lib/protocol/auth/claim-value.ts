// The value of a `set` that logs in, as memcached's -Y has it: the name, a blank, the password. And
// the words that answer it.

import type { Claim } from '../../access/claim.ts'
import { Area } from '../../bytes/area.ts'
import { text } from '../reply.ts'

export const STORED = text('STORED\r\n')
export const FAILURE = text('CLIENT_ERROR authentication failure\r\n')
const BAD_FORMAT = text('CLIENT_ERROR bad authentication token format\r\n')
const BAD_END = text('CLIENT_ERROR bad command line termination\r\n')

export const LF = 10
const CR = 13
export const BLANK = 32

/** The claim in [start, end), behind which a line ends; or the words that refuse it. */
export function claimIn(bytes: Buffer, start: number, end: number): Claim | Area {
  if (bytes[end] !== CR || bytes[end + 1] !== LF) return BAD_END
  const blank = bytes.indexOf(BLANK, start)
  if (blank < 0 || blank >= end) return BAD_FORMAT
  return { bytes, userStart: start, userEnd: blank, passwordStart: blank + 1, passwordEnd: end }
}

export function isRefused(found: Claim | Area): found is Area {
  return found instanceof Area
}
