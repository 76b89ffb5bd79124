/** `memslab scale` as a process, and what it tells. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ENTRY } from './daemon.ts'
import type { Owner } from './process.ts'

export interface ScaleRun {
  readonly pid: number
  /** What it told so far. */
  output(): string
  /** Resolves with its exit code once it has ended by itself. */
  ended(): Promise<number | null>
  /** By SIGTERM, or at once. Resolves with its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Ends each scaler of this process: one that runs would start its nodes again. */
const RUNNING = new Set<() => Promise<unknown>>()

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
  const closed = once(child, 'close')
  const ended = async () => {
    await closed
    return child.exitCode
  }
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (isRunning(child)) child.kill(signal)
    return ended()
  }
  const end = () => stop('SIGKILL')
  RUNNING.add(end)
  owner.teardown(end)
  return { pid: child.pid ?? 0, output: () => output, ended, stop }
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

/** A folder for the nodes of a test, which end with it. */
export function nodeFolder(owner: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), 'nodes-'))
  owner.teardown(async () => {
    await Promise.all([...RUNNING].map(end => end()))
    RUNNING.clear()
    endNodes(folder)
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
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
function endNodes(folder: string): void {
  for (const pid of nodesIn(folder).values()) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended.
    }
  }
}
