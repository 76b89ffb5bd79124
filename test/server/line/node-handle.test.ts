// The ways of reading from an accepted socket, through one buffer and by 'data' events, and of writing
// to it, to its handle and through the stream; plain and behind TLS.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { Sent } from '../../../lib/server/line/line.ts'
import {
  adoptSecure,
  adoptSocket,
  readByEvents,
  StreamWriter,
  writerOf,
} from '../../../lib/server/line/node-handle.ts'
import { createAuthority } from '../../support/certificates.ts'
import { skipWithout } from '../../support/oracle.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { HOST } from '../../support/process.ts'
import { openPeer } from '../../support/server-peer.ts'

const seed = announceSeed(t)
const WAYS = { adoptSocket, readByEvents }
const NEEDS_OPENSSL = { skip: skipWithout('openssl') }
/** What libuv reads at once, and a record that was not whole. */
const ONE_READ_BYTES_MAX = (64 + 16) * 1024

for (const [name, way] of Object.entries(WAYS)) {
  t.test(`${name} misses nothing, however often reading stops`, async t => {
    for (const bufferBytes of [1, 1000, 65_536]) {
      const random = createRandom(seed, bufferBytes)
      const [accepted, peer] = await pair(t)
      const sent = randomBytes(bufferBytes === 1 ? 2000 : 1_000_000)
      const buffer = Buffer.alloc(bufferBytes)
      const chunks: Buffer[] = []
      let stopped = false
      const socket = way(accepted, buffer, bytes => {
        if (stopped) t.fail('read while it was stopped')
        chunks.push(Buffer.from(buffer.subarray(0, bytes)))
        buffer.fill(0)
        stopped = random.once(3)
        if (stopped) {
          setImmediate(() => {
            stopped = false
            socket.resume()
          })
        }
        return !stopped
      })
      socket.on('error', () => {})
      const closed = once(socket, 'close')
      socket.resume()
      peer.end(sent)
      peer.resume()
      await once(peer, 'end')
      await closed
      t.ok(Buffer.concat(chunks).equals(sent), `a buffer of ${bufferBytes} bytes`)
    }
  })

  t.test(`${name} reads nothing before resume, and writes`, async t => {
    const [accepted, peer] = await pair(t)
    let read = 0
    const socket = way(accepted, Buffer.alloc(100), bytes => {
      read += bytes
      return true
    })
    socket.on('error', () => {})
    peer.write('hello')
    socket.write('reply')
    const [reply] = await once(peer.resume(), 'data')
    t.equal(`${reply}`, 'reply')
    t.equal(read, 0)
    socket.resume()
    while (read < 5) await new Promise(resolve => setImmediate(resolve))
    peer.resetAndDestroy()
    await new Promise<void>(resolve => socket.once('close', () => resolve()))
    t.equal(read, 5)
  })
}

t.test('adoptSecure misses nothing, however often reading stops', NEEDS_OPENSSL, async t => {
  for (const bufferBytes of [1, 1000, 65_536]) {
    const random = createRandom(seed, bufferBytes)
    const [secure, peer] = await securePair(t)
    const sent = randomBytes(bufferBytes === 1 ? 2000 : 1_000_000)
    const buffers = [Buffer.alloc(bufferBytes), Buffer.alloc(bufferBytes)]
    let current = 0
    const chunks: Buffer[] = []
    let [stops, late, latest, stopped] = [0, 0, 0, false]
    const read = (bytes: number) => {
      chunks.push(Buffer.from(buffers[current].subarray(0, bytes)))
      buffers[current].fill(0)
      if (stopped) {
        late += bytes
        latest = Math.max(latest, late)
        return false
      }
      if (!random.once(3)) return true
      stops++
      late = 0
      stopped = true
      setTimeout(() => {
        stopped = false
        secure.resume()
      }, 1)
      return false
    }
    const next = () => {
      current = 1 - current
      return buffers[current]
    }
    t.equal(adoptSecure(secure, buffers[0], read, next), secure)
    t.equal(secure.listenerCount('data'), 0, 'from its handle')
    secure.on('error', () => {}).resume()
    const ended = once(secure, 'end')
    peer.end(sent)
    await ended
    t.ok(stops > 0)
    t.ok(latest <= ONE_READ_BYTES_MAX, `${latest} bytes after it was to stop`)
    t.ok(Buffer.concat(chunks).equals(sent), `a buffer of ${bufferBytes} bytes`)
    secure.destroySoon()
    await closedBy(secure)
  }
})

t.test('a secure socket that has read already is read by events', NEEDS_OPENSSL, async t => {
  const [secure, peer] = await securePair(t)
  peer.write('early')
  await once(secure, 'readable')
  const buffer = Buffer.alloc(100)
  const read = new Promise<number>(resolve => {
    adoptSecure(secure, buffer, bytes => {
      resolve(bytes)
      return true
    }).resume()
  })
  t.equal(buffer.toString('latin1', 0, await read), 'early')
})

const WRITERS = ['handle', 'stream', 'handle of TLS', 'stream of TLS']

for (const name of WRITERS) {
  const encrypted = name.endsWith('TLS')
  const isStream = name.startsWith('stream')

  t.test(
    `a writer to the ${name} sends all, in order, to a peer that is slow`,
    {
      skip: encrypted && skipWithout('openssl'),
    },
    async t => {
      const random = createRandom(seed, 1)
      let told = () => {}
      const sender = { sent: () => told() }
      const [socket, peer] = await adoptedPair(t, encrypted)
      const writer = isStream
        ? new StreamWriter(socket, sender, encrypted)
        : writerOf(socket, sender, encrypted)
      t.equal(writer instanceof StreamWriter, isStream)
      const sent: Buffer[] = []
      let waits = 0
      peer.pause()
      const write = async () => {
        const bytes = randomBytes(random.between(1, 200_000))
        sent.push(Buffer.from(bytes))
        const over = new Promise<void>(resolve => {
          told = resolve
        })
        if (writer.write(bytes) === Sent.ALL) {
          bytes.fill(0)
          return
        }
        waits++
        peer.resume()
        await over
        peer.pause()
        bytes.fill(0)
      }
      const chunks: Buffer[] = []
      peer.on('data', (chunk: Buffer) => chunks.push(chunk))
      for (let i = 0; i < 200; i++) await write()
      t.ok(waits > 0, `${waits} writes had to wait`)
      peer.resume()
      socket.end()
      await once(peer, 'end')
      peer.end()
      t.ok(Buffer.concat(chunks).equals(Buffer.concat(sent)))
      await closedBy(socket)
      t.equal(writer.write(Buffer.from('late')), Sent.FAILED)
    },
  )

  t.test(
    `a writer to the ${name} is told when its peer leaves in between`,
    {
      skip: encrypted && skipWithout('openssl'),
    },
    async t => {
      const [socket, peer, transport] = await adoptedPair(t, encrypted)
      const over = new Promise<void>(resolve => {
        const sender = { sent: () => resolve() }
        const writer = isStream
          ? new StreamWriter(socket, sender, encrypted)
          : writerOf(socket, sender, encrypted)
        while (writer.write(Buffer.alloc(1_000_000)) === Sent.ALL) {}
      })
      transport.resetAndDestroy()
      peer.destroy()
      await over
      await closedBy(socket)
      t.ok(socket.destroyed)
    },
  )
}

async function closedBy(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket.resume(), 'close')
}

/** A socket that nothing is read from but its end, its peer, and what carries the peer's bytes. */
async function adoptedPair(
  t: Test,
  encrypted: boolean,
): Promise<[socket: Socket, peer: Socket, transport: Socket]> {
  const buffer = Buffer.alloc(100)
  if (encrypted) {
    const [secure, peer, transport] = await securePair(t)
    const socket = adoptSecure(secure, buffer, () => true).on('error', () => {})
    return [socket.resume(), peer, transport]
  }
  const [accepted, peer] = await pair(t)
  const socket = adoptSocket(accepted, buffer, () => true).on('error', () => {})
  return [socket, peer, peer]
}

/** The same behind TLS, right after the handshake. */
async function securePair(
  t: Test,
): Promise<[secure: TLSSocket, peer: TLSSocket, transport: Socket]> {
  const { cert, key } = createAuthority(t, 'authority').sign('server')
  const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) })
  server.on('tlsCacheError', () => {})
  const [accepted, transport] = await pair(t)
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

/** A connection: as a listener of the daemon accepts it, and its peer. */
async function pair(t: Test): Promise<[accepted: Socket, peer: Socket]> {
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
