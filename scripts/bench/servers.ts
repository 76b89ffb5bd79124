// A server under test: its command line, its start on a free loopback port, its counters (asked by
// `stats`), its stop.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Certificate } from './certificate.ts'
import { hasEnded, isInstalled, start, stderrOf, stop } from './processes.ts'

// `command` has none of the flags that every server gets here: -l, -p, -m, -t, and those of TLS.
export interface ServerSpec {
  name: string
  command: readonly string[]
  threadCount: number
  /** -m, MiB; 1024 by default. */
  memoryMib?: number
}

export interface Start {
  core?: number | undefined
  // The server listens for TLS on a second port with this certificate.
  certificate?: Certificate | undefined
  // How often to poll for its first answer.
  pollMs?: number
}

export interface Server {
  name: string
  version: string
  process: ChildProcess
  pid: number
  port: number
  tlsPort: number | undefined
  // Time from spawning the command to its first answer.
  startMs: number
}

const MEMORY_MIB = 1024
const START_MS = 60_000
const ASK_MS = 5000
const POLL_MS = 50
const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))

// memcached refuses to run as root without -u.
export function memcachedCommand(): string[] {
  return process.getuid?.() === 0 ? ['memcached', '-u', 'nobody'] : ['memcached']
}

export function memslabCommand(): string[] {
  return [process.execPath, MAIN]
}

// One line that says why this command cannot be started, or undefined.
export function whyNot(command: readonly string[]): string | undefined {
  if (!isInstalled(command[0])) {
    const hint = command[0] === 'memcached' ? ': on Debian, apt-get install memcached' : ''
    return `${command[0]} is not installed${hint}`
  }
  if (command.includes(MAIN) && !existsSync(MAIN)) return `${MAIN} does not exist`
  return undefined
}

export async function startServer(
  spec: ServerSpec,
  { core, certificate, pollMs = POLL_MS }: Start = {},
): Promise<Server> {
  const port = await freePort()
  const tlsPort = certificate === undefined ? undefined : await freePort()
  const flags = [...usualFlags(spec), ...listenFlags(port, tlsPort, certificate)]
  const beganMs = performance.now()
  const child = start([...spec.command, ...flags.map(String)], core, {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  while (performance.now() - beganMs < START_MS && !hasEnded(child)) {
    const reply = await ask(port, 'version\r\n', '\r\n').catch(() => '')
    if (reply.startsWith('VERSION')) {
      const startMs = performance.now() - beganMs
      const version = reply.slice('VERSION'.length).trim()
      const pid = child.pid ?? 0
      return { name: spec.name, version, process: child, pid, port, tlsPort, startMs }
    }
    await sleep(pollMs)
  }
  await stop(child)
  throw new Error(`${spec.name} did not start: ${stderrOf(child) || 'nothing on stderr'}`)
}

function usualFlags({ memoryMib = MEMORY_MIB, threadCount }: ServerSpec): (string | number)[] {
  return ['-m', memoryMib, '-t', threadCount]
}

function listenFlags(
  port: number,
  tlsPort: number | undefined,
  certificate: Certificate | undefined,
): (string | number)[] {
  if (certificate === undefined) return ['-l', '127.0.0.1', '-p', port]
  const files = `ssl_chain_cert=${certificate.cert},ssl_key=${certificate.key}`
  return ['-Z', '-o', files, '-l', `notls:127.0.0.1:${port},127.0.0.1:${tlsPort}`]
}

export async function stopServer(server: Server): Promise<void> {
  await stop(server.process)
}

export async function readStats(server: Server): Promise<Map<string, string>> {
  const text = await ask(server.port, 'stats\r\n', 'END\r\n')
  const pairs = text.matchAll(/^STAT (\S+) (.*)\r$/gm)
  return new Map(Array.from(pairs, ([, name, value]) => [name, value]))
}

export async function readCounter(server: Server, name: string): Promise<number> {
  const value = Number((await readStats(server)).get(name))
  if (Number.isNaN(value)) throw new Error(`${server.name} has no counter ${name} in its stats`)
  return value
}

async function ask(port: number, request: string, end: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.setTimeout(ASK_MS, () => socket.destroy(new Error(`no reply to ${request.trim()}`)))
  try {
    socket.write(request)
    let reply = ''
    for await (const part of socket) {
      reply += String(part)
      if (reply.endsWith(end)) return reply
    }
    throw new Error(`partial reply to ${request.trim()}`)
  } finally {
    socket.destroy()
  }
}

export async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  listener.close()
  await once(listener, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
