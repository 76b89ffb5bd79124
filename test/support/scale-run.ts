/** `memslab scale` as a process, and what it tells. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ENTRY } from './daemon.ts'
import type { Owner } from './process.ts'

export interface ScaleRun {
  readonly pid: number
  /** What it told so far. */
  output(): string
  /** By SIGTERM, or at once. Resolves with its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts it with a file of the configuration. */
export function startScale(owner: Owner, path: string, ...more: string[]): ScaleRun {
  const args = [ENTRY, 'scale', '--config', path, ...more]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      output += chunk
    })
  }
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (!isRunning(child)) return child.exitCode
    const closed = once(child, 'close')
    child.kill(signal)
    await closed
    return child.exitCode
  }
  owner.teardown(() => stop('SIGKILL'))
  return { pid: child.pid ?? 0, output: () => output, stop }
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

/** The process ids of the nodes in a folder of the driver, by port. */
export function nodesIn(folder: string): Map<number, number> {
  const files = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.pid')) : []
  return new Map(
    files.map(name => [
      Number(name.replace('.pid', '')),
      Number(readFileSync(join(folder, name), 'utf8')),
    ]),
  )
}

/** Ends the nodes of a folder: they outlive their scaler. */
export function endNodes(folder: string): void {
  for (const pid of nodesIn(folder).values()) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
}
