// Access control of the admin listener: who may see it, by a file of lines like that of -Y. A line
// `user:password` lets in by basic authentication, a line `bearer:TOKEN` by that token.

import type { IncomingMessage } from 'node:http'
import type { Credentials } from '../../protocol/auth/credentials.ts'
import type { Claim } from '../../protocol/authenticator.ts'

/** The name of lines that have a token in place of a password. */
const BEARER = 'bearer'
const COLON = 58

/** What to ask of a client that did not log in. */
export const CHALLENGE = 'Basic realm="memslab", charset="UTF-8", Bearer realm="memslab"'

/** Whether this request may be served; `credentials` null: everybody's may. */
export function mayEnter(request: IncomingMessage, credentials: Credentials | null): boolean {
  if (credentials === null) return true
  const [, scheme = '', text = ''] = /^(\w+) +(\S+) *$/.exec(headerOf(request)) ?? []
  const claim = claimOf(scheme.toLowerCase(), text)
  if (claim === undefined) return false
  const isKnown = credentials.has(claim)
  claim.bytes.fill(0)
  return isKnown
}

function headerOf({ headers }: IncomingMessage): string {
  return headers.authorization ?? ''
}

function claimOf(scheme: string, text: string): Claim | undefined {
  if (scheme === BEARER) return claim(Buffer.from(`${BEARER}:${text}`, 'latin1'))
  if (scheme !== 'basic') return undefined
  const given = claim(Buffer.from(text, 'base64'))
  // Its password is a token, which only the other scheme takes.
  if (given?.bytes.toString('latin1', 0, given.userEnd) === BEARER) return undefined
  return given
}

function claim(bytes: Buffer): Claim | undefined {
  const userEnd = bytes.indexOf(COLON)
  if (userEnd < 0) return undefined
  const passwordEnd = bytes.length
  return { bytes, userStart: 0, userEnd, passwordStart: userEnd + 1, passwordEnd }
}
