// Both ways of reading from an accepted socket: through one buffer, and by 'data' events.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { adoptSocket, readByEvents, StreamWriter, writerOf } from '../../lib/server/adopt.ts'
import { Sent } from '../../lib/server/line.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { HOST } from '../support/process.ts'
import { openPeer } from '../support/server-peer.ts'

const seed = announceSeed(t)
const WAYS = { adoptSocket, readByEvents }

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

for (const name of ['handle', 'stream']) {
  t.test(`a writer to the ${name} sends all, in order, to a peer that is slow`, async t => {
    const [accepted, peer] = await pair(t)
    const random = createRandom(seed, 1)
    const socket = adoptSocket(accepted, Buffer.alloc(100), () => true)
    socket.on('error', () => {})
    let told = () => {}
    const sender = { sent: () => told() }
    const writer =
      name === 'handle' ? writerOf(socket, sender) : new StreamWriter(socket, sender, false)
    t.equal(writer instanceof StreamWriter, name === 'stream')
    const sent: Buffer[] = []
    let waits = 0
    peer.pause()
    const write = async () => {
      const bytes = randomBytes(random.between(1, 200_000))
      sent.push(Buffer.from(bytes))
      const over = new Promise<void>(resolve => {
        told = resolve
      })
      if (writer.write(bytes) === Sent.ALL) return
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
  })

  t.test(`a writer to the ${name} is told when its peer leaves in between`, async t => {
    const [accepted, peer] = await pair(t)
    const socket = adoptSocket(accepted, Buffer.alloc(100), () => true)
    socket.on('error', () => {})
    const over = new Promise<void>(resolve => {
      const sender = { sent: () => resolve() }
      const writer =
        name === 'handle' ? writerOf(socket, sender) : new StreamWriter(socket, sender, false)
      while (writer.write(Buffer.alloc(1_000_000)) === Sent.ALL) {}
    })
    peer.resetAndDestroy()
    await over
    await closedBy(socket)
    t.ok(socket.destroyed)
  })
}

async function closedBy(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket.resume(), 'close')
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
