// What an attack is: peers that do to a server what a fault or a bad intent would, for as long as
// the run lasts. Each attack runs in a thread of its own (attacker.ts), so that it slows down
// nobody but the server and the machine.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export const HOST = '127.0.0.1'

/** A server under attack. */
export interface Target {
  port: number
  /** Listens for TLS 1.3; 0: does not. */
  tlsPort: number
  /** 0: does not. */
  udpPort: number
}

/** Features that the server needs for an attack. */
export type Need = 'tls' | 'udp' | 'login'

export interface Attack {
  readonly name: string
  readonly need?: Need
  /** Values that the attack reads, stored before the clock starts. */
  prepare?(target: Target): Promise<void>
  /** Begins; the peers go on until the thread ends. */
  start(target: Target, watch: Watch): Promise<void>
}

/** What an attack noticed. */
export class Watch {
  /** Peers that the server closed, or answered wrongly, though they broke no rule. */
  lost = 0
  /** Why the first of them was lost. */
  reason = ''

  lose(reason: string): void {
    if (this.lost++ === 0) this.reason = reason
  }
}

/** The user that may log in where an attack needs 'login'. */
export const USER = 'abuse'
export const PASSWORD = 'let-me-in'

/** A command that logs in. */
export function loginOf(password: string): string {
  const claim = `${USER} ${password}`
  return `set auth 0 0 ${claim.length}\r\n${claim}\r\n`
}

const DISCARD = Buffer.allocUnsafe(2 ** 18)

/** A connected peer that discards what it is sent. */
export async function openDeaf(port: number): Promise<Socket> {
  const socket = connect({
    host: HOST,
    port,
    onread: { buffer: DISCARD, callback: () => true },
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** A connected peer whose replies the caller reads. */
export async function openPeer(port: number): Promise<Socket> {
  const socket = connect({ host: HOST, port })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Reports a peer that the server closes. */
export function expectOpen(socket: Socket, watch: Watch): void {
  socket.on('close', () => watch.lose('the server closed the connection'))
}

/** Sends the same bytes again and again, as fast as the peer's socket takes them. */
export function repeat(socket: Socket, bytes: Buffer): void {
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
  }
  socket.on('drain', more)
  more()
}

/** Sends one request and reads up to `end`. */
export async function request(
  socket: Socket,
  bytes: string | Buffer,
  end: string,
): Promise<string> {
  let reply = ''
  const read = (part: Buffer) => {
    reply += part.toString('latin1')
  }
  socket.on('data', read)
  socket.write(bytes)
  try {
    while (!reply.endsWith(end)) {
      if (socket.destroyed) throw new Error('the server closed the connection')
      await Promise.race([once(socket, 'data'), once(socket, 'close')])
    }
    return reply
  } finally {
    socket.off('data', read)
  }
}

/** Stores one value. */
export async function store(port: number, key: string, valueBytes: number): Promise<void> {
  const socket = await openPeer(port)
  const value = Buffer.alloc(valueBytes, 'v')
  const line = Buffer.from(`set ${key} 0 0 ${valueBytes}\r\n`)
  await request(socket, Buffer.concat([line, value, Buffer.from('\r\n')]), '\r\n')
  socket.destroy()
}
