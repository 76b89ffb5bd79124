// The options of access control: who may connect. -Y and -S, which are memcached's, are in
// switches.ts.

import type { Switch } from './switch.ts'
import { Refused } from './values.ts'

/** How a normalised --allow begins. */
export const ALLOW = '--allow='

export const ACCESS: readonly Switch[] = [
  {
    letter: '',
    name: 'allow',
    value: '<list>',
    help: [
      'who may connect by TCP, TLS and UDP: addresses and networks, IPv4 and IPv6, separated',
      'by commas, as 10.0.0.0/8; @<file>: those in <file>, one a line; SIGHUP reads files again',
    ],
    adds: true,
    read: text => ({ allow: readAllow(text) }),
  },
]

/** The parts of a list; the server reads them. */
export function readAllow(text: string): string[] {
  const parts = text.split(',').map(part => part.trim())
  const allow = parts.filter(part => part !== '')
  // An empty value (of an unset variable) must not let everybody in.
  if (allow.length === 0) throw new Refused('--allow names no address')
  return allow
}
