// Connected sockets in one process, accepted as by the daemon's listener.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { createAuthority } from './certificates.ts'
import { HOST } from './process.ts'
import { openPeer } from './server-peer.ts'

/** The accepted end of a connection, and its peer. */
export async function socketPair(t: Test): Promise<[accepted: Socket, peer: Socket]> {
  const server: Server = createServer({ pauseOnConnect: true, noDelay: true })
  server.listen(0, HOST)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const accepting = once(server, 'connection')
  const peer = await openPeer(address.port)
  const [accepted] = await accepting
  t.teardown(() => {
    peer.destroy()
    accepted.destroy()
    server.close()
  })
  return [accepted, peer]
}

/** The same over TLS, right after the handshake, and the peer's transport. */
export async function securePair(
  t: Test,
): Promise<[secure: TLSSocket, peer: TLSSocket, transport: Socket]> {
  const { cert, key } = createAuthority(t, 'authority').sign('server')
  const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) })
  server.on('tlsClientError', () => {})
  const [accepted, transport] = await socketPair(t)
  accepted.allowHalfOpen = true
  const securing = once(server, 'secureConnection')
  server.emit('connection', accepted)
  const peer = connect({ socket: transport, rejectUnauthorized: false })
  peer.on('error', () => {})
  transport.on('error', () => {})
  const [secure] = await securing
  t.teardown(() => {
    secure.destroy()
    peer.destroy()
  })
  return [secure, peer, transport]
}

export async function closedBy(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket.resume(), 'close')
}
