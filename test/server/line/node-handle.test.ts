// The use of Node's internals: reading from an accepted socket into one buffer, and writing to its
// handle.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import t from 'tap'
import { Sent } from '../../../lib/server/line/line.ts'
import { adoptSocket, HandleWriter, hasKnownHandle } from '../../../lib/server/line/node-handle.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { closedBy, socketPair } from '../../support/socket-pairs.ts'

const seed = announceSeed(t)

t.test('nothing is missed, however often reading stops', async t => {
  for (const bufferBytes of [1, 1000, 65_536]) {
    const random = createRandom(seed, bufferBytes)
    const [accepted, peer] = await socketPair(t)
    t.ok(hasKnownHandle(accepted))
    const sent = randomBytes(bufferBytes === 1 ? 2000 : 1_000_000)
    const buffers = [Buffer.alloc(bufferBytes), Buffer.alloc(bufferBytes)]
    let current = 0
    const chunks: Buffer[] = []
    let stopped = false
    const read = (bytes: number) => {
      if (stopped) t.fail('read while it was stopped')
      chunks.push(Buffer.from(buffers[current].subarray(0, bytes)))
      buffers[current].fill(0)
      stopped = random.once(3)
      if (stopped) {
        setImmediate(() => {
          stopped = false
          socket.resume()
        })
      }
      return !stopped
    }
    const next = () => {
      current = 1 - current
      return buffers[current]
    }
    const socket = adoptSocket(accepted, buffers[0], read, next)
    socket.on('error', () => {})
    const ended = once(socket, 'end')
    socket.resume()
    peer.end(sent)
    await ended
    t.ok(Buffer.concat(chunks).equals(sent), `a buffer of ${bufferBytes} bytes`)
    t.notOk(socket.destroyed, 'half-closed')
    socket.destroySoon()
    await closedBy(socket)
  }
})

t.test('nothing is read before resume, and a stream may be written', async t => {
  const [accepted, peer] = await socketPair(t)
  let read = 0
  const socket = adoptSocket(accepted, Buffer.alloc(100), bytes => {
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
  t.notOk(hasKnownHandle(socket), 'a closed socket has no handle')
})

t.test('a writer sends all, in order, to a peer that is slow', async t => {
  const random = createRandom(seed, 1)
  let told = () => {}
  const [accepted, peer] = await socketPair(t)
  const socket = adoptSocket(accepted, Buffer.alloc(100), () => true).on('error', () => {})
  const writer = new HandleWriter(socket, () => told())
  const sent: Buffer[] = []
  let waits = 0
  peer.pause()
  const write = async () => {
    const bytes = randomBytes(random.between(1, 200_000))
    sent.push(Buffer.from(bytes))
    const over = new Promise<void>(resolve => {
      told = resolve
    })
    const cut = random.below(bytes.length)
    const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)]
    if ((random.once(2) ? writer.write(bytes) : writer.writeAll(pieces)) === Sent.LATER) {
      waits++
      peer.resume()
      await over
      peer.pause()
    }
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

t.test('a writer learns that its peer closed in between', async t => {
  const [accepted, peer] = await socketPair(t)
  const socket = adoptSocket(accepted, Buffer.alloc(100), () => true).on('error', () => {})
  const over = new Promise<void>(resolve => {
    const writer = new HandleWriter(socket, () => resolve())
    while (writer.write(Buffer.alloc(1_000_000)) === Sent.ALL) {}
  })
  peer.resetAndDestroy()
  await over
  await closedBy(socket)
  t.ok(socket.destroyed)
})
