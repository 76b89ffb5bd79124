// Which web pages may talk to the admin listener through an operator's browser: its own alone.
//
// A foreign page can have its name resolve to this machine (DNS rebinding), and then counts as the
// listener's own to the browser. So where no password is asked, the name in `Host` must be one that
// no foreigner can have: an address, localhost, this machine's name, or the one that was given to
// listen on. With a password the browser has none for the foreign name.
//
// A change needs a header of our own besides, which a foreign page cannot send without asking.

import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { hostname } from 'node:os'

/** Sent by the page with each change; any value. */
export const CHANGE_HEADER = 'x-memslab'

/** Whether `Host` names this listener, which listens on `given`. */
export function isOwnName({ headers }: IncomingMessage, given: string): boolean {
  const host = nameOf(headers.host)
  if (host === undefined) return false
  if (isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost')) return true
  return host === given.toLowerCase() || host === hostname().toLowerCase()
}

/** Whether a change may be asked for by this request. */
export function mayChange({ headers }: IncomingMessage): boolean {
  if (headers[CHANGE_HEADER] === undefined) return false
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  const { origin, host } = headers
  return origin === undefined || hostOf(origin) === host?.toLowerCase()
}

/** `name:port` and `[address]:port` -> the name or address, in small letters. */
function nameOf(host: string | undefined): string | undefined {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host ?? '') ?? []
  return (bracketed ?? plain)?.toLowerCase()
}

function hostOf(origin: string): string | undefined {
  return URL.parse(origin)?.host
}
