/** Daemons that are replaced while they serve: by SIGUSR2, again and again. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Owner, ServerProcess } from './process.ts'

const UPGRADE_MS_MAX = 60_000
const POLL_MS = 20

export interface Dynasty<Server extends ServerProcess> {
  server: Server
  pidFile: string
  /** The process that serves now. */
  pid(): number
  /** Sends the signal. Resolves when another process serves and the old one has ended. */
  upgrade(): Promise<void>
}

export async function startDynasty<Server extends ServerProcess = ServerProcess>(
  owner: Owner,
  args: string[],
  start: (owner: Owner, args: string[]) => Promise<Server>,
): Promise<Dynasty<Server>> {
  const folder = mkdtempSync(join(tmpdir(), 'dynasty-'))
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'pid')
  const server = await start(owner, [...args, '-P', file])
  await until(() => readPid(file) > 0, 'there is a pid file')
  const pid = () => {
    const found = readPid(file)
    // A signal to process 0 would go to the whole group, with the runner of the tests.
    if (found <= 0) throw new Error(`there is no pid file\n${server.output()}`)
    return found
  }
  // Only the first process is a child of this one.
  owner.teardown(() => {
    const last = readPid(file)
    if (last > 0 && isAlive(last)) process.kill(last, 'SIGKILL')
  })
  const upgrade = async () => {
    const old = pid()
    process.kill(old, 'SIGUSR2')
    await until(() => !isAlive(old), `process ${old} ends\n${server.output()}`)
    const hasFile = () => readPid(file) !== old && isAlive(readPid(file))
    await until(hasFile, 'the new process has the pid file')
  }
  return { server, pidFile: file, pid, upgrade }
}

export async function until(isTrue: () => boolean, what: string): Promise<void> {
  const endMs = Date.now() + UPGRADE_MS_MAX
  while (!isTrue()) {
    if (Date.now() > endMs) throw new Error(`in vain: ${what}`)
    await sleep(POLL_MS)
  }
}

/** Not a zombie: the first process is one until its end is noticed. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  } catch {
    return false
  }
}

function readPid(file: string): number {
  try {
    return Number(readFileSync(file, 'latin1'))
  } catch {
    return 0
  }
}
