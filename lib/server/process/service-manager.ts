// What a service manager such as systemd is told, by datagrams to NOTIFY_SOCKET, and what it gives:
// listening sockets as descriptors (LISTEN_FDS), which begin at 3.

import { execFile } from 'node:child_process'
import type { Inheritance, PassedListener } from '../listen/address.ts'
import { sendDatagram } from '../native/datagram.ts'

const FIRST_DESCRIPTOR = 3

/** Tells the service manager, if there is one: READY=1, MAINPID=123 ... */
export function notify(...states: string[]): void {
  const path = process.env.NOTIFY_SOCKET
  if (path === undefined || sendDatagram(path, states.join('\n'))) return
  // Its own program does the same, where this Node has no node:ffi.
  execFile('systemd-notify', states, () => {})
}

/** The sockets that the service manager listens on for this process; undefined: none. */
export function activation(): Inheritance | undefined {
  const { LISTEN_PID, LISTEN_FDS } = process.env
  const count = Number(LISTEN_FDS)
  if (Number(LISTEN_PID) !== process.pid || !Number.isInteger(count) || count <= 0) return undefined
  const activated = Array.from({ length: count }, (_, i): PassedListener => {
    return { kind: 'tcp', address: '', port: 0, descriptor: FIRST_DESCRIPTOR + i }
  })
  return { takeListener: () => undefined, takeActivated: () => activated.splice(0) }
}
