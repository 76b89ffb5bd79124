// The servers under attack: each attack has its own, started with what the attack needs.

import type { ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Certificate, makeCertificate } from '../bench/certificate.ts'
import { hasEnded, start, stderrOf, stop } from '../bench/processes.ts'
import { HOST, type Need, PASSWORD, type Target, USER } from './attack.ts'

const START_MS = 60_000
const POLL_MS = 50
const CONNECTIONS_MAX = 4000

export interface ServerSpec {
  name: string
  /** None of the flags that every server gets here: -l, -p, -U, -m, -t, -c, -Y, -Z. */
  command: readonly string[]
  threads: number
  memoryMib: number
}

export interface Server extends Target {
  name: string
  process: ChildProcess
}

let certificate: Certificate | undefined

export async function startServer(spec: ServerSpec, need: Need | undefined): Promise<Server> {
  const port = await freePort()
  const tlsPort = need === 'tls' ? await freePort() : 0
  const udpPort = need === 'udp' ? await freeUdpPort() : 0
  const flags = ['-m', spec.memoryMib, '-t', spec.threads, '-c', CONNECTIONS_MAX]
  flags.push(...listenFlags(port, tlsPort, udpPort))
  if (need === 'login') flags.push('-Y', passwordFile())
  const child = start([...spec.command, ...flags.map(String)], undefined, {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const beganMs = performance.now()
  while (performance.now() - beganMs < START_MS && !hasEnded(child)) {
    if (await listens(port)) return { name: spec.name, process: child, port, tlsPort, udpPort }
    await sleep(POLL_MS)
  }
  await stop(child)
  throw new Error(`${spec.name} did not start: ${stderrOf(child) || 'nothing on stderr'}`)
}

/** Stops it. Returns why it had ended before, or null. */
export async function stopServer(server: Server): Promise<string | null> {
  if (hasEnded(server.process)) {
    const { exitCode, signalCode } = server.process
    return `${server.name} ended (${signalCode ?? exitCode}): ${stderrOf(server.process)}`
  }
  await stop(server.process)
  return null
}

function listenFlags(port: number, tlsPort: number, udpPort: number): (string | number)[] {
  if (tlsPort === 0) return ['-l', HOST, '-p', port, '-U', udpPort]
  certificate ??= makeCertificate()
  const files = `ssl_chain_cert=${certificate.cert},ssl_key=${certificate.key}`
  return ['-Z', '-o', files, '-l', `notls:${HOST}:${port},${HOST}:${tlsPort}`]
}

function passwordFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'memslab-abuse-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'passwords')
  writeFileSync(path, `${USER}:${PASSWORD}\n`)
  // A server started as root may have changed its user before it reads it.
  chmodSync(folder, 0o755)
  return path
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: HOST, port })
    socket.on('error', () => resolve(false))
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, HOST)
  await once(listener, 'listening')
  const address = listener.address()
  listener.close()
  await once(listener, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, HOST)
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}
