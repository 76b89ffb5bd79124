// The options of access control: who may connect. -Y and -S, which are memcached's, are in
// switches.ts.

import type { Switch } from './switch.ts'
import { type Given, Refused } from './values.ts'

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
  {
    letter: '',
    name: 'acl',
    value: '<file>',
    help: [
      'users with their passwords, certificates or tokens, what they may do with which keys,',
      'and limits of users and addresses: see docs/access.md; SIGHUP reads it again',
    ],
    read: readAcl,
  },
]

function readAcl(text: string): Given {
  if (text === '') throw new Refused('--acl names no file')
  return { acl: text }
}

/** The parts of a list; the server reads them. */
export function readAllow(text: string): string[] {
  const parts = text.split(',').map(part => part.trim())
  const allow = parts.filter(part => part !== '')
  // An empty value (of an unset variable) must not let everybody in.
  if (allow.length === 0) throw new Refused('--allow names no address')
  return allow
}
