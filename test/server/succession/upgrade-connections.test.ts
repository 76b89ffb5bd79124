/**
 * What an upgrade does to connections in any state, whatever they come through: a reply is whole or
 * does not begin, and what was acknowledged is there afterwards.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { frame, Op, store as storeFrame } from '../../support/binary-frames.ts'
import { createAuthority } from '../../support/certificates.ts'
import { startDaemon, startUnixDaemon } from '../../support/daemon.ts'
import { skipWithout } from '../../support/oracle.ts'
import { HOST, type ServerProcess } from '../../support/process.ts'
import { noMishaps, ReconnectingPeer } from '../../support/reconnecting-peer.ts'
import { type Dynasty, startDynasty } from '../../support/upgrades.ts'

/** The longest value: more than sockets hold, so that a slow reader is behind. */
const LONG_BYTES = 16 * MIB
const BASE = ['-m', '128', '-I', '32m', '-t', '2']

/** One way in. */
interface Way {
  dynasty: Dynasty<ServerProcess>
  open(): Promise<Socket>
}

async function opened(socket: Socket, event = 'connect'): Promise<Socket> {
  await once(socket, event)
  return socket
}

const WAYS: Record<string, (t: Test) => Promise<Way>> = {
  async uring(t) {
    const dynasty = await startDynasty(t, BASE, startDaemon)
    return { dynasty, open: () => opened(connect(dynasty.server.port, HOST)) }
  },
  async sockets(t) {
    const dynasty = await startDynasty(t, [...BASE, '-o', 'no_io_uring'], startDaemon)
    return { dynasty, open: () => opened(connect(dynasty.server.port, HOST)) }
  },
  async 'a UNIX socket'(t) {
    const dynasty = await startDynasty(t, BASE, startUnixDaemon)
    return { dynasty, open: () => opened(connect(dynasty.server.path)) }
  },
  async TLS(t) {
    const { cert, key } = createAuthority(t, 'ours').sign('server')
    const args = [...BASE, '-Z', '-o', `ssl_chain_cert=${cert},ssl_key=${key}`]
    const dynasty = await startDynasty(t, args, startDaemon)
    const open = () => {
      const { port } = dynasty.server
      return opened(connectTls({ host: HOST, port, rejectUnauthorized: false }), 'secureConnect')
    }
    return { dynasty, open }
  },
}

/** All that a server sends until it closes the connection. */
function restOf(socket: Socket): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  socket.on('error', () => {})
  socket.on('close', () => resolve(Buffer.concat(pieces)))
  return promise
}

/** Asks in a connection of its own. */
async function ask({ open }: Way, requests: readonly string[]): Promise<string[]> {
  const socket = await open()
  const peer = new ReconnectingPeer(() => socket, noMishaps(), 'never')
  // It is open already.
  setImmediate(() => socket.emit('never'))
  const replies = await peer.ask(requests)
  peer.close()
  return replies
}

/** How a client stores quietly, and asks whether the server has come so far. */
interface Quiet {
  set(key: string, value: string): string
  question: string
  /** The answer, from a connection that is asked nothing else. */
  answer: string
}

const QUIET: Record<string, Quiet> = {
  meta: {
    set: (key, value) => `ms ${key} ${value.length} q\r\n${value}\r\n`,
    question: 'mn\r\n',
    answer: 'MN\r\n',
  },
  text: {
    set: (key, value) => `set ${key} 0 0 ${value.length} noreply\r\n${value}\r\n`,
    question: 'mn\r\n',
    answer: 'MN\r\n',
  },
  binary: {
    set: (key, value) => storeFrame(Op.SETQ, key, value),
    question: frame(Op.NOOP),
    answer: frame(Op.NOOP, { magic: 0x81 }),
  },
}

/** Stores versions of some keys quietly, each batch with a question behind it. */
class QuietWriter {
  acknowledged = 0
  private readonly quiet: Quiet
  private readonly keys: readonly string[]
  private version = 0

  constructor(name: string) {
    this.quiet = QUIET[name]
    this.keys = Array.from({ length: 50 }, (_, i) => `${name}-${i}`)
  }

  /** Writes until the connection is closed. Returns whatever came that is no answer. */
  async run(socket: Socket): Promise<string> {
    const { keys, quiet } = this
    const { answer, question } = quiet
    let text = ''
    const closed = restOf(socket)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      while (text.startsWith(answer)) {
        this.acknowledged++
        text = text.slice(answer.length)
      }
    })
    while (!socket.destroyed && !socket.readableEnded) {
      this.version++
      const value = String(this.version).padEnd(300 + (this.version % 50), '.')
      const sets = keys.map(key => quiet.set(key, value))
      const goesOn = socket.write(`${sets.join('')}${question}`, 'latin1')
      if (!goesOn) await Promise.race([once(socket, 'drain').catch(() => {}), closed])
      await sleep(1)
    }
    await closed
    return text
  }

  /** The lowest version of a key that is there. */
  async least(way: Way): Promise<number> {
    const gets = await ask(
      way,
      this.keys.map(key => `mg ${key} v\r\n`),
    )
    return Math.min(...gets.map(value => Number.parseInt(value, 10)))
  }
}

for (const [name, start] of Object.entries(WAYS)) {
  t.test(name, { skip: name === 'TLS' && skipWithout('openssl') }, async t => {
    const way = await start(t)
    const long = 'l'.repeat(LONG_BYTES)
    t.strictSame(await ask(way, ['ms half 3\r\nold\r\n', `ms long ${LONG_BYTES}\r\n${long}\r\n`]), [
      'HD',
      'HD',
    ])

    const idle = await way.open()
    const silent = restOf(idle)
    const [line, value] = [await way.open(), await way.open()]
    const unanswered = [restOf(line), restOf(value)]
    line.write('mn\r\nms half 3\r')
    value.write('ms half 1000\r\nnew')
    const slow = await way.open()
    slow.write('mg long v\r\nmg half v\r\nmg long v\r\n')
    await once(slow, 'readable')
    const writers = Object.keys(QUIET).map(dialect => new QuietWriter(dialect))
    const written = writers.map(async writer => writer.run(await way.open()))
    while (writers.some(({ acknowledged }) => acknowledged < 20)) await sleep(5)

    const upgraded = way.dynasty.upgrade()
    const reply = await restOf(slow)
    t.equal((await silent).length, 0, 'an idle connection is closed without a word')
    t.strictSame(
      (await Promise.all(unanswered)).map(String),
      ['MN\r\n', ''],
      'so is one with half a request, after the replies to those before it',
    )
    t.strictSame(await Promise.all(written), ['', '', ''], 'only whole replies')
    // The first reply had begun. Each of the others is whole or not there.
    const whole = [
      `VA ${LONG_BYTES}\r\n${long}\r\n`,
      'VA 3\r\nold\r\n',
      `VA ${LONG_BYTES}\r\n${long}\r\n`,
    ]
    const boundaries = whole.map((_, i) => whole.slice(0, i + 1).join('').length)
    t.ok(
      boundaries.includes(reply.length),
      `a slow reader gets whole replies: ${reply.length} bytes`,
    )
    t.ok(whole.join('').startsWith(reply.toString('latin1')), 'and right ones')
    await upgraded

    t.strictSame(await ask(way, ['mg half v\r\n']), ['old'], 'half a value changes nothing')
    for (const writer of writers) {
      const least = await writer.least(way)
      t.ok(least >= writer.acknowledged, `${least}, ${writer.acknowledged} acknowledged`)
    }
  })
}
