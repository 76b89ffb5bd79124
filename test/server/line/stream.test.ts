// The line through a Node stream, over a plain socket and over TLS.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { READ_BYTES, READ_REST_BYTES_MAX } from '../../../lib/protocol/limits.ts'
import { type LineOwner, Sent } from '../../../lib/server/line/line.ts'
import type { ReplyBuffer } from '../../../lib/server/line/replies.ts'
import { StreamLine } from '../../../lib/server/line/stream.ts'
import { skipWithout } from '../../support/oracle.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { closedBy, securePair, socketPair } from '../../support/socket-pairs.ts'

const seed = announceSeed(t)

for (const isSecure of [false, true]) {
  const name = isSecure ? 'TLS' : 'a plain socket'
  const options = { skip: isSecure && skipWithout('openssl') }

  t.test(`${name}: nothing is missed, however often reading stops`, options, async t => {
    const random = createRandom(seed, 1)
    const { line, owner, peer } = await open(t, isSecure)
    const sent = randomBytes(1_000_000)
    let stopped = false
    owner.onRead = () => {
      if (stopped) t.fail('read while it was stopped')
      stopped = random.once(3)
      if (stopped) {
        setImmediate(() => {
          stopped = false
          line.resume()
        })
      }
      return !stopped
    }
    peer.write('early')
    t.equal(owner.heard.length, 0, 'nothing before resume')
    line.resume()
    peer.end(sent)
    await owner.halfClosing
    t.ok(Buffer.concat(owner.heard).equals(Buffer.concat([Buffer.from('early'), sent])))
    t.notOk(line.ended)
    line.send(bufferOf(Buffer.from('last reply')), 0, 10)
    const last = once(peer, 'data')
    line.endSoon()
    t.equal(`${await last}`, 'last reply')
    await owner.closing
    t.ok(line.ended)
  })

  t.test(`${name}: all is sent, in order, to a peer that is slow`, options, async t => {
    const random = createRandom(seed, 2)
    const { line, owner, socket, peer } = await open(t, isSecure)
    line.resume()
    const sent: Buffer[] = []
    let waits = 0
    peer.pause()
    const chunks: Buffer[] = []
    peer.on('data', (chunk: Buffer) => chunks.push(chunk))
    for (let i = 0; i < 200; i++) {
      const bytes = randomBytes(random.between(2, 200_000))
      const start = random.below(bytes.length)
      sent.push(Buffer.from(bytes.subarray(start)))
      const over = owner.nextSent()
      const result = line.send(bufferOf(bytes), start, bytes.length)
      bytes.fill(0)
      if (result === Sent.ALL) continue
      t.equal(result, Sent.LATER)
      waits++
      peer.resume()
      await over
      peer.pause()
    }
    t.ok(waits > 0, `${waits} replies had to wait`)
    peer.resume()
    line.endSoon()
    await once(peer, 'end')
    peer.end()
    t.ok(Buffer.concat(chunks).equals(Buffer.concat(sent)))
    await closedBy(socket)
    t.equal(line.send(bufferOf(Buffer.from('late')), 0, 4), Sent.FAILED)
  })

  t.test(`${name}: the owner learns that its peer closed in between`, options, async t => {
    const { line, owner, peer, transport } = await open(t, isSecure)
    const over = owner.nextSent()
    const bytes = bufferOf(Buffer.alloc(1_000_000))
    while (line.send(bytes, 0, 1_000_000) === Sent.ALL) {}
    transport.resetAndDestroy()
    peer.destroy()
    await over
    await owner.closing
    t.ok(line.ended)
  })

  t.test(`${name}: a peer that does not close its side is closed`, options, async t => {
    const { line, owner, peer } = await open(t, isSecure)
    peer.on('data', () => {})
    line.endSoon()
    peer.write('still here')
    await owner.closing
    t.same(owner.heard, [], 'what it says is thrown away')
  })
}

/** Listens to a line. */
class Listener implements LineOwner {
  readonly heard: Buffer[] = []
  readonly halfClosing: Promise<void>
  readonly closing: Promise<void>
  halfClosed: () => void = () => {}
  closed: () => void = () => {}
  sent: () => void = () => {}
  onRead: () => boolean = () => true

  constructor() {
    this.halfClosing = new Promise(resolve => {
      this.halfClosed = resolve
    })
    this.closing = new Promise(resolve => {
      this.closed = resolve
    })
  }

  nextSent(): Promise<void> {
    return new Promise(resolve => {
      this.sent = resolve
    })
  }

  read(input: Area, start: number, bytes: number): boolean {
    this.heard.push(Buffer.from(input.bytes.subarray(start, start + bytes)))
    input.bytes.fill(0)
    return this.onRead()
  }

  filled(): boolean {
    return false
  }

  fillView(): null {
    return null
  }

  readsShort(): boolean {
    return false
  }

  awaitsBytes(): number {
    return 0
  }
}

async function open(t: Test, isSecure: boolean) {
  const [socket, peer, transport] = isSecure ? await securePair(t) : await plain(t)
  const owner = new Listener()
  const line = new StreamLine(Area.allocate(READ_REST_BYTES_MAX + READ_BYTES), socket, owner)
  return { line, owner, socket, peer, transport }
}

async function plain(t: Test): Promise<[socket: Socket, peer: Socket, transport: Socket]> {
  const [accepted, peer] = await socketPair(t)
  return [accepted, peer, peer]
}

function bufferOf(bytes: Buffer): ReplyBuffer {
  return { area: new Area(bytes), address: 0, held: 0 }
}
