// A TLS line over a line that cuts and delays, with Node's TLS as its peer; and the memory between
// OpenSSL and a line.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { READ_REST_BYTES_MAX, REPLY_BYTES, TURN_MS_MAX } from '../../../lib/protocol/limits.ts'
import { Reply } from '../../../lib/protocol/reply.ts'
import { isOnItsWay, type Line, type LineOwner, Sent } from '../../../lib/server/line/line.ts'
import { REPLY_ROOM_BYTES, Replies, type ReplyBuffer } from '../../../lib/server/line/replies.ts'
import { Incoming, isAsExpected, Outgoing } from '../../../lib/server/tls/bio.ts'
import { TlsContext } from '../../../lib/server/tls/context.ts'
import type { Arriving } from '../../../lib/server/tls/engine.ts'
import { TlsBuffers, TlsLine } from '../../../lib/server/tls/line.ts'
import { loadOpenSsl, type OpenSsl } from '../../../lib/server/tls/openssl.ts'
import { createAuthority } from '../../support/certificates.ts'
import { skipWithout } from '../../support/oracle.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'

const seed = announceSeed(t)
const openSsl = loadOpenSsl() as OpenSsl
const skip = openSsl === undefined ? 'this Node has no node:ffi' : skipWithout('openssl')

t.test('sealed bytes are taken in order, whatever their length', { skip }, async t => {
  const random = createRandom(seed)
  const outgoing = new Outgoing(openSsl)
  const area = Area.allocate(2 * REPLY_BYTES)
  const from = Area.allocate(2 * REPLY_BYTES)
  let model = Buffer.alloc(0)
  for (let step = 0; step < 2000; step++) {
    if (random.once(2)) {
      const bytes = random.between(1, random.once(20) ? 2 * REPLY_BYTES : 300)
      randomBytes(bytes).copy(from.bytes)
      openSsl.call.BIO_write(outgoing.bio, openSsl.addressOf(from), bytes)
      model = Buffer.concat([model, from.bytes.subarray(0, bytes)])
    } else {
      const bytes = outgoing.take(area, 0)
      if (!area.bytes.subarray(0, bytes).equals(model.subarray(0, bytes))) t.fail(`step ${step}`)
      if (bytes === 0 && model.length > 0) t.fail(`nothing of ${model.length} bytes`)
      model = model.subarray(bytes)
    }
    if (outgoing.isEmpty !== (model.length === 0)) t.fail(`step ${step}`)
  }
  t.ok(isAsExpected(openSsl, new Incoming(openSsl), new Outgoing(openSsl)))
})

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`a line over ${maxVersion} loses nothing, however it is cut`, { skip }, async t => {
    for (const pieceMax of [1, 50, 5000, 100_000]) {
      const random = createRandom(seed, pieceMax)
      const { peer, echo } = await securePair(t, random, pieceMax, maxVersion)
      const sent = randomBytes(pieceMax === 1 ? 2000 : 200_000)
      const chunks: Buffer[] = []
      let left = sent.length
      const whole = new Promise<void>(resolve => {
        peer.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          left -= chunk.length
          if (left <= 0) resolve()
        })
      })
      for (let at = 0; at < sent.length; ) {
        const end = at + random.between(1, 40_000)
        peer.write(sent.subarray(at, end))
        at = end
      }
      await whole
      t.ok(Buffer.concat(chunks).equals(sent), `pieces of up to ${pieceMax} bytes`)
      peer.end()
      await once(peer, 'close')
      t.equal(echo.ends, 'left closed')
    }
  })
}

t.test('input that keeps OpenSSL busy ends the turn', { skip }, async t => {
  const { peer, below } = await securePair(t, createRandom(seed), 5000, 'TLSv1.3')
  let nowMs = 0
  const clock = { stepMs: TURN_MS_MAX }
  t.intercept(performance, 'now', {
    value: () => {
      nowMs += clock.stepMs
      return nowMs
    },
  })
  for (const isBusy of [true, false]) {
    clock.stepMs = isBusy ? TURN_MS_MAX : 0
    below.busyReads = 0
    // One record: nothing can be read of its first piece.
    peer.write(randomBytes(9000))
    await once(peer, 'data')
    t.equal(below.busyReads > 0, isBusy)
    t.notOk(below.owner.readsShort(), 'data came')
  }
  peer.destroy()
})

t.test('input that is not TLS is refused or blamed', { skip }, async t => {
  const random = createRandom(seed)
  const { peer, below, events } = await securePair(t, random, 100, 'TLSv1.3')
  below.deliver(Buffer.from('get a\r\n'.repeat(10)))
  t.same(events, ['blamed'])
  t.ok(below.ended)
  peer.destroy()
  const stranger = openBelow(t, random, 100)
  stranger.below.deliver(Buffer.from('get a\r\n'.repeat(10)))
  await new Promise(resolve => setImmediate(resolve))
  t.same(stranger.events, ['refused: wrong version number', 'gone'])
})

t.test('leftovers of one peer do not reach another', { skip }, async t => {
  const random = createRandom(seed)
  const { peer, events, buffers, below, echo } = await securePair(t, random, 3, 'TLSv1.3')
  // The queue of reasons is the thread's.
  openSsl.withText('no key', at => {
    const bio = openSsl.call.BIO_new_mem_buf(at, 6)
    openSsl.call.PEM_read_bio_PrivateKey(bio, 0n, 0n, 0n)
    openSsl.call.BIO_free(bio)
  })
  peer.write('hello')
  t.equal(`${await once(peer, 'data')}`, 'hello', 'in spite of a reason that is not its own')
  t.same(events, [])
  // A line that ends while more than one reply waits to be sent.
  const { outgoing } = buffers
  const more = Buffer.alloc(3 * REPLY_BYTES)
  echo.onRead = () => {
    openSsl.withBytes(more, (at, bytes) => openSsl.call.BIO_write(outgoing.bio, at, bytes))
    below.destroy()
  }
  peer.write('x')
  while (!below.ended) await new Promise(resolve => setImmediate(resolve))
  t.ok(outgoing.isEmpty)
  peer.destroy()
})

/** Passes its input on in pieces, at once or later, at random. */
class CuttingLine implements Line {
  readonly takesInserts = false
  readonly unsentBytes = 0
  ended = false
  readonly owner: LineOwner
  /** Reads after which the owner stopped reading, and wanted short ones. */
  busyReads = 0
  private readonly random: Random
  private readonly pieceMax: number
  private readonly input = Area.allocate(READ_REST_BYTES_MAX + 200_000)
  private readonly waiting: Buffer[] = []
  private isStopped = true
  onSent: (bytes: Buffer) => void = () => {}

  constructor(owner: LineOwner, random: Random, pieceMax: number) {
    this.owner = owner
    this.random = random
    this.pieceMax = pieceMax
  }

  send({ area }: ReplyBuffer, start: number, end: number): Sent {
    const bytes = Buffer.from(area.bytes.subarray(start, end))
    if (this.ended) return Sent.FAILED
    if (this.random.once(2)) {
      this.onSent(bytes)
      return Sent.ALL
    }
    setImmediate(() => {
      this.onSent(bytes)
      this.owner.sent()
    })
    return this.random.once(2) ? Sent.SOON : Sent.LATER
  }

  deliver(bytes: Buffer): void {
    this.waiting.push(bytes)
    if (!this.isStopped) this.goOn()
  }

  resume(): void {
    this.isStopped = false
    this.goOn()
  }

  private goOn(): void {
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      const bytes = next.copy(this.input.bytes, READ_REST_BYTES_MAX, 0, this.pieceMax)
      if (bytes < next.length) this.waiting.unshift(next.subarray(bytes))
      if (this.ended) return
      this.isStopped = !this.owner.read(this.input, READ_REST_BYTES_MAX, bytes)
      if (this.isStopped && this.owner.readsShort()) this.busyReads++
      if (this.isStopped) return
    }
  }

  leave(): void {
    this.endSoon()
  }

  endSoon(): void {
    this.destroy()
  }

  destroy(): void {
    if (this.ended) return
    this.ended = true
    setImmediate(() => this.owner.closed(false))
    this.owner.halfClosed()
  }

  abandon(): void {
    this.destroy()
  }

  endpoint() {
    return { address: '', port: 0 }
  }
}

/** Echoes its input, one reply at a time, and stops reading at random. */
class Echo implements LineOwner {
  ends = ''
  onRead: () => void = () => {}
  private readonly line: Line
  private readonly replies: Replies
  private readonly random: Random
  private heard = Buffer.alloc(0)
  private isSending = false

  constructor(line: Line, replies: Replies, random: Random) {
    this.line = line
    this.replies = replies
    this.random = random
  }

  read(input: Area, start: number, bytes: number): boolean {
    const { line, random } = this
    this.heard = Buffer.concat([this.heard, input.bytes.subarray(start, start + bytes)])
    input.bytes.fill(0, start, start + bytes)
    this.onRead()
    this.say()
    if (!random.once(4)) return true
    setImmediate(() => line.resume())
    return false
  }

  sent(): void {
    this.isSending = false
    this.say()
  }

  halfClosed(): void {
    this.ends += 'left '
    this.line.endSoon()
  }

  closed(): void {
    this.ends += 'closed'
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

  private say(): void {
    const { replies, random } = this
    while (!this.isSending && this.heard.length > 0) {
      const bytes = random.once(3) ? REPLY_BYTES : random.between(1, REPLY_BYTES)
      const { current, reply } = replies
      reply.length = this.heard.copy(current.area.bytes, 0, 0, bytes)
      this.heard = this.heard.subarray(reply.length)
      this.isSending = isOnItsWay(this.line.send(current, 0, reply.length, reply.inserts))
      replies.clear()
    }
  }
}

/** A TLS line on top of `below`, and the result of its handshake. */
function openBelow(t: Test, random: Random, pieceMax: number) {
  const { cert, key } = createAuthority(t, 'authority').sign('server')
  const [certPem, keyPem] = [cert, key].map(path => readFileSync(path, 'latin1'))
  const settings = {
    sslChainCert: undefined,
    sslKey: undefined,
    sslKeyFormat: 'PEM',
    sslCaCert: undefined,
    sslCiphers: undefined,
    sslMinVersion: 'tlsv1.2',
    sslSessionCache: false,
    sslEngine: 'direct',
  } as const
  const certificates = { cert: certPem, key: keyPem, ca: [], ticketKey: '' }
  const context = new TlsContext(openSsl, settings, certificates, 'none')
  const replies = new Replies(new Reply(), REPLY_ROOM_BYTES, 1)
  const buffers = TlsBuffers.open(openSsl)
  if (buffers === undefined) throw new Error('OpenSSL has other memory than is expected')
  const events: string[] = []
  const made: { echo?: Echo; below?: CuttingLine } = {}
  const greeter = {
    greet: (_: Arriving, __: boolean, open: (owner: LineOwner) => Line) => {
      made.echo = new Echo(line, replies, random)
      t.equal(open(made.echo), line)
      return made.echo
    },
    refuse: (line: Arriving, reason: string) => {
      events.push(`refused: ${reason}`)
      line.destroy()
    },
    gone: () => events.push('gone'),
    blame: () => events.push('blamed'),
    later: (work: () => void, pauseMs: number) =>
      pauseMs === 0 ? setImmediate(work) : setTimeout(work, pauseMs).unref(),
  }
  const line: TlsLine = new TlsLine(buffers, replies, context.open(), greeter, owner => {
    made.below = new CuttingLine(owner, random, pieceMax)
    return made.below
  })
  context.free()
  line.resume()
  return { ...made, below: made.below as CuttingLine, made, events, buffers }
}

/** A TLS socket of Node that has finished its handshake with such a line. */
async function securePair(
  t: Test,
  random: Random,
  pieceMax: number,
  maxVersion: 'TLSv1.2' | 'TLSv1.3',
): Promise<{
  peer: TLSSocket
  echo: Echo
  below: CuttingLine
  events: string[]
  buffers: TlsBuffers
}> {
  const { below, made, events, buffers } = openBelow(t, random, pieceMax)
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      below.deliver(Buffer.from(chunk))
      done()
    },
  })
  below.onSent = bytes => wire.push(bytes)
  const peer = connect({ socket: wire, rejectUnauthorized: false, maxVersion })
  peer.on('error', () => {})
  await once(peer, 'secureConnect')
  while (made.echo === undefined) await new Promise(resolve => setImmediate(resolve))
  return { peer, echo: made.echo, below, events, buffers }
}
