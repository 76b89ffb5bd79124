// Starts every process of a bench, and stops each by its own pid when the bench ends, also after an
// error or a signal.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const STOP_MS = 3000
const STDERR_CHARS_MAX = 2000

const running = new Set<ChildProcess>()
const errorOutput = new WeakMap<ChildProcess, string>()

// Starts a command, pinned to `core` unless that is undefined. taskset execs it, so the pid is its
// own.
export function start(
  command: readonly string[],
  core: number | undefined,
  options: SpawnOptions,
): ChildProcess {
  const line = core === undefined ? command : ['taskset', '-c', String(core), ...command]
  const child = spawn(line[0], line.slice(1), options)
  running.add(child)
  child.on('exit', () => running.delete(child))
  child.on('error', error => errorOutput.set(child, error.message))
  child.stderr?.on('data', (part: Buffer) => {
    const text = (errorOutput.get(child) ?? '') + part.toString()
    errorOutput.set(child, text.slice(-STDERR_CHARS_MAX))
  })
  return child
}

/** The end of what it wrote to stderr, or why it could not be started. */
export function stderrOf(child: ChildProcess): string {
  return (errorOutput.get(child) ?? '').trim()
}

export function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}

export async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
  clearTimeout(timer)
}

export function stopAllOnExit(): void {
  process.on('exit', () => {
    for (const child of running) child.kill('SIGKILL')
  })
  process.on('SIGINT', () => process.exit(130))
  process.on('SIGTERM', () => process.exit(143))
}

export function isInstalled(command: string): boolean {
  const folders = command.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter)
  return folders.some(folder => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

// The cores that this process may use. In a container they need not begin at 0.
export function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return (list ?? '').split(',').flatMap(range => {
    const [first, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}
