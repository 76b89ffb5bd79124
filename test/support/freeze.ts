/** Stops a process as a paused container is, and lets it go on when the test ends. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Owner } from './process.ts'

const STOP_MS_MAX = 5000

/** Resolves when all its threads have stopped: until then one may still answer. */
export async function freeze(owner: Owner, pid: number): Promise<void> {
  owner.teardown(() => thaw(pid))
  process.kill(pid, 'SIGSTOP')
  const deadline = performance.now() + STOP_MS_MAX
  while (!isStopped(pid)) {
    if (performance.now() > deadline) throw new Error(`process ${pid} does not stop`)
    await sleep(1)
  }
}

export function thaw(pid: number): void {
  process.kill(pid, 'SIGCONT')
}

function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every(thread => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T')
  })
}
