/** TLS clients for tests, and daemons that serve them. */
import { readFileSync } from 'node:fs'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { Pair } from './certificates.ts'
import { startDaemon } from './daemon.ts'
import { HOST, type Owner, type ServerProcess } from './process.ts'
import { ask, askOnce } from './server-peer.ts'

const SECURE_MS_MAX = 10_000

/** The options of a client with this certificate. */
export function showing({ cert, key }: Pair): ConnectionOptions {
  return { cert: readFileSync(cert), key: readFileSync(key) }
}

/** Resolves with a paused connection once the client has finished its handshake. */
export function openSecure(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: HOST, rejectUnauthorized: false, ...options })
    const timer = setTimeout(() => fail(new Error('no handshake')), SECURE_MS_MAX)
    const fail = (error: Error) => {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    socket.once('error', fail)
    socket.once('close', () => fail(new Error('closed in the handshake')))
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      socket.off('error', fail).on('error', () => {})
      resolve(socket)
    })
  })
}

export interface TlsDaemon extends ServerProcess {
  readonly tlsPort: number
}

/**
 * A daemon without TLS on the usual port and with TLS on another. `args` may add listeners on other
 * addresses.
 */
export async function startTlsDaemon(
  owner: Owner,
  { cert, key }: Pair,
  suboptions: string[] = [],
  args: string[] = [],
): Promise<TlsDaemon> {
  const list = [`ssl_chain_cert=${cert}`, `ssl_key=${key}`, ...suboptions].join(',')
  const daemon = await startDaemon(owner, ['-l', `notls:${HOST}`, '-Z', '-o', list, ...args])
  const conns = await askOnce(daemon.port, 'stats conns\r\n', 'END\r\n')
  const listening = new RegExp(
    `STAT (\\d+):addr tcp:${HOST}:(\\d+)\r\nSTAT \\1:state conn_lis`,
    'g',
  )
  const ports = [...conns.matchAll(listening)].map(([, , port]) => Number(port))
  return { ...daemon, tlsPort: ports.find(port => port !== daemon.port) ?? 0 }
}

/** Whether a client with these options gets an answer. */
export async function isServed(port: number, options: ConnectionOptions = {}): Promise<boolean> {
  try {
    const peer = await openSecure(port, options)
    const reply = await ask(peer, 'get none\r\n', '\r\n')
    peer.destroy()
    return reply === 'END\r\n'
  } catch {
    return false
  }
}
