// Both ways of reading from an accepted socket: through one buffer, and by 'data' events.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { adoptSocket, readByEvents } from '../../lib/server/adopt.ts'
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
