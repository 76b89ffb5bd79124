/**
 * Server processes for tests: each on a free loopback port, started when it accepts connections,
 * stopped by its own process id when the test that owns it ends. Every wait here is bounded.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export const HOST = '127.0.0.1'
const START_MS_MAX = 60_000
const STOP_MS_MAX = 5_000
const START_TRIES_MAX = 3 // another process may take the free port first
const OUTPUT_BYTES_MAX = 16_384
/**
 * Free ports are below those that the system gives to clients and to listeners on port 0, so that a
 * port stays free between its choice and its use. Each job of the test runner has its own range.
 */
const PORT_FIRST = 12_000
const PORTS_A_JOB = 2000
const JOBS_MAX = 10
const JOB = Number(process.env.TAP_JOB_ID ?? 0) % JOBS_MAX
// Two runs at the same time begin at different ports.
let nextPort = process.pid % PORTS_A_JOB

export interface Owner {
  teardown(handler: () => unknown): void
}

export interface ServerProcess {
  /** 0 if it listens on a UNIX socket. */
  readonly port: number
  readonly pid: number
  /** What it printed so far (the last 16 KiB). */
  output(): string
  stop(): Promise<void>
}

interface Spawned {
  readonly child: ChildProcess
  readonly output: () => string
}

/** Starts `command` with the arguments that `argsFor` makes of a free port. */
export async function startServer(
  owner: Owner,
  command: string,
  argsFor: (port: number) => string[],
  stopSignal: NodeJS.Signals = 'SIGTERM',
): Promise<ServerProcess> {
  let reason = ''
  for (let tries = 0; tries < START_TRIES_MAX; tries++) {
    const port = await freePort()
    const { isReady, server } = await tryToStart(owner, command, argsFor(port), port, stopSignal)
    if (isReady) return { ...server, port }
    reason = server.output()
  }
  throw new Error(`${command} did not start: ${reason.trim() || 'it printed nothing'}`)
}

/** Starts `command`, which listens on the UNIX socket at `path`. */
export async function startServerAt(
  owner: Owner,
  command: string,
  args: string[],
  path: string,
): Promise<ServerProcess> {
  const { isReady, server } = await tryToStart(owner, command, args, path, 'SIGTERM')
  if (isReady) return server
  throw new Error(`${command} did not start: ${server.output().trim() || 'it printed nothing'}`)
}

/** Starts `command` again on the port that it had before. */
export async function startServerOn(
  owner: Owner,
  command: string,
  args: string[],
  port: number,
): Promise<ServerProcess> {
  const place = ['-p', String(port), '-l', HOST]
  const { isReady, server } = await tryToStart(owner, command, [...args, ...place], port, 'SIGKILL')
  if (isReady) return { ...server, port }
  throw new Error(`${command} did not start: ${server.output().trim() || 'it printed nothing'}`)
}

/**
 * Starts `command`, a memcached or a replacement, on a port that the system chooses and the server
 * writes to its ports file: no other process can have taken it.
 */
export async function startMemcached(
  owner: Owner,
  command: string,
  args: string[],
  stopSignal: NodeJS.Signals = 'SIGTERM',
): Promise<ServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'ports-'))
  // The server may have given up root before it writes there.
  chmodSync(folder, 0o777)
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'ports')
  const env = { ...process.env, MEMCACHED_PORT_FILENAME: file }
  const { child, output } = spawnServer(command, [...args, '-p', '-1', '-l', HOST], env)
  const stop = () => stopServer(child, stopSignal)
  owner.teardown(stop)
  const deadline = Date.now() + START_MS_MAX
  while (Date.now() < deadline && isRunning(child)) {
    const port = readPort(file)
    if (port > 0 && (await accepts(port))) return { port, pid: child.pid ?? 0, output, stop }
    await sleep(20)
  }
  await stop()
  throw new Error(`${command} did not start: ${output().trim() || 'it printed nothing'}`)
}

function readPort(file: string): number {
  if (!existsSync(file)) return 0
  return Number(/^TCP INET: (\d+)$/m.exec(readFileSync(file, 'latin1'))?.[1] ?? 0)
}

async function tryToStart(
  owner: Owner,
  command: string,
  args: string[],
  place: number | string,
  stopSignal: NodeJS.Signals,
): Promise<{ isReady: boolean; server: ServerProcess }> {
  const { child, output } = spawnServer(command, args)
  const stop = () => stopServer(child, stopSignal)
  owner.teardown(stop)
  const isReady = await becomesReady(child, place)
  if (!isReady) await stop()
  return { isReady, server: { port: 0, pid: child.pid ?? 0, output, stop } }
}

/** A port that nothing listens on and that no other caller gets: see PORT_FIRST. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS_A_JOB; tries++) {
    nextPort = (nextPort + 1) % PORTS_A_JOB
    const port = PORT_FIRST + JOB * PORTS_A_JOB + nextPort
    if (await isFree(port)) return port
  }
  throw new Error('no free port')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const isListening = once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.listen(port, HOST)
  if (!(await isListening)) return false
  server.close()
  await once(server, 'close')
  return true
}

function spawnServer(command: string, args: string[], env = process.env): Spawned {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString('latin1')).slice(-OUTPUT_BYTES_MAX)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.on('error', error => keep(Buffer.from(error.message)))
  return { child, output: () => text }
}

async function becomesReady(child: ChildProcess, place: number | string): Promise<boolean> {
  const deadline = Date.now() + START_MS_MAX
  while (Date.now() < deadline && isRunning(child)) {
    // A connection proves nothing: another process may have taken the port.
    if ((await accepts(place)) && isRunning(child)) return true
    await sleep(20)
  }
  return false
}

export function accepts(place: number | string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = typeof place === 'string' ? connect(place) : connect(place, HOST)
    const settle = (accepted: boolean) => {
      socket.destroy()
      resolve(accepted)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null
}

async function stopServer(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!isRunning(child)) return
  const exited = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await exited
  clearTimeout(timer)
}
