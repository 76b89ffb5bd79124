// `memslab upgrade PID|PIDFILE`: has a new process go on in place of a daemon, by SIGUSR2, and says
// what came of it. Linux only: it looks at /proc.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Misused, readArguments, runCommand } from './command-line.ts'

const USAGE = `usage: memslab upgrade PID|PIDFILE
has a new process, of the version that is installed now, take over the sockets and the
content of a daemon on this machine; needs its user or root. The daemon's log says more.`

/** How often it looks, and how long it waits for the end of an upgrade. */
const LOOK_MS = 50
const UPGRADE_MS_MAX = 300_000

/** The bit of SIGUSR2 in the masks of /proc/PID/status. */
const USR2_BIT = 1n << 11n

/** Returns the exit code. */
export function runUpgrade(words: readonly string[]): Promise<number> {
  return runCommand(USAGE, words, async () => {
    const { words: given } = await readArguments(words, {})
    const [place, ...others] = given
    if (place === undefined || others.length > 0) throw new Misused()
    try {
      const old = pidFrom(place)
      if (!takesSignal(old)) throw new Error(`process ${old} is no memslab that could be upgraded`)
      process.kill(old, 'SIGUSR2')
      process.stdout.write(`process ${await successorOf(old)} serves in place of process ${old}\n`)
      return 0
    } catch (error) {
      process.stderr.write(`memslab upgrade: ${error instanceof Error ? error.message : error}\n`)
      return 1
    }
  })
}

function pidFrom(place: string): number {
  const text = /^\d+$/.test(place) ? place : readFileSync(place, 'latin1').trim()
  const pid = Number(text)
  if (!Number.isSafeInteger(pid) || pid <= 0) throw new Error(`${place} has no process id`)
  return pid
}

/** To any other process the signal would be the end. */
function takesSignal(pid: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(statusOf(pid))?.[1]
  return mask !== undefined && (BigInt(`0x${mask}`) & USR2_BIT) !== 0n
}

/** Resolves to the new process. Rejects if the old one goes on. */
async function successorOf(old: number): Promise<number> {
  const endMs = performance.now() + UPGRADE_MS_MAX
  let child = 0
  while (performance.now() < endMs) {
    const now = childOf(old)
    if (!isAlive(old)) {
      if (child > 0 && isAlive(child)) return child
      throw new Error(`process ${old} has ended, and no other one serves`)
    }
    if (child > 0 && now === 0) throw new Error(`process ${old} goes on, its log says why`)
    if (now > 0) child = now
    await sleep(LOOK_MS)
  }
  throw new Error(`process ${old} is still there after ${UPGRADE_MS_MAX / 1000} s`)
}

/** The process that it started last; 0: it has none. */
function childOf(pid: number): number {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()
    return Number(children.split(' ').at(-1))
  } catch {
    return 0
  }
}

function isAlive(pid: number): boolean {
  return /^State:\s+[^ZX]/m.test(statusOf(pid))
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1')
  } catch {
    return ''
  }
}
