// What a service manager such as systemd is told, by datagrams to NOTIFY_SOCKET. What it gives is
// in activation.ts.

import { execFile } from 'node:child_process'
import { sendDatagram } from '../native/datagram.ts'

/** Tells the service manager, if there is one: READY=1, MAINPID=123 ... */
export function notify(...states: string[]): void {
  const path = process.env.NOTIFY_SOCKET
  if (path === undefined || sendDatagram(path, states.join('\n'))) return
  // Its own program does the same, where this Node has no node:ffi.
  execFile('systemd-notify', states, () => {})
}

/** During an upgrade the main thread waits until the content is over, and feeds nobody. */
const UPGRADE_WATCHDOG_US = 600 * 1_000_000

/** Files are read again, or another process is started; READY=1 says when that is done. */
export function notifyReloading(): void {
  notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
}

/** The daemon ends, which may take this long; undefined: not long. */
export function notifyStopping(mostMs: number | undefined): void {
  const extension = mostMs === undefined ? [] : [`EXTEND_TIMEOUT_USEC=${Math.ceil(mostMs * 1000)}`]
  notify('STOPPING=1', 'STATUS=Stopping', ...extension)
}

/** `watchdogMs`: how long the watchdog waits otherwise. */
export function notifyUpgrading(watchdogMs: number): void {
  notifyReloading()
  if (watchdogMs > 0) notify(`WATCHDOG_USEC=${UPGRADE_WATCHDOG_US}`)
}

/** The upgrade is over. `pid`: the process that goes on now; undefined: this one does. */
export function notifyUpgraded(watchdogMs: number, pid?: number): void {
  const main = pid === undefined ? [] : [`MAINPID=${pid}`]
  const food = watchdogMs > 0 ? ['WATCHDOG=1', `WATCHDOG_USEC=${watchdogMs * 1000}`] : []
  notify(...main, 'READY=1', ...food)
}
