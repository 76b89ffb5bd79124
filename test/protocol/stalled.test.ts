// Sessions whose peers stop in the middle of a long value: what uploads and values being sent keep
// is bounded, and what lies beyond is copied, waits, or gets an error in the protocol's words.

import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { READS_HELD, UPLOADS_HELD } from '../../lib/engine/arena/layout.ts'
import type { Host } from '../../lib/protocol/host.ts'
import { COPIES_BYTES_MAX, UPLOAD_WAITS_MAX } from '../../lib/protocol/limits.ts'
import { frame, Op, store } from '../support/binary-frames.ts'
import { DirectPeer } from '../support/direct-session.ts'
import { makeValue } from '../support/engine-values.ts'
import { createHost, heldCount, Peer, verifyAll } from '../support/server-session.ts'

const NEVER = () => false
const BYTES = 900_000
const NO_MEMORY = 'SERVER_ERROR out of memory storing object\r\n'
const NO_MEMORY_GET = 'SERVER_ERROR out of memory writing get response\r\n'

interface Dialect {
  get(key: string): Buffer
  refusedGet: string | RegExp
  set(key: string, value: Buffer): Buffer
  stored: RegExp
  refused: RegExp
}

const DIALECTS: Record<string, Dialect> = {
  text: {
    get: key => Buffer.from(`get ${key}\r\n`),
    refusedGet: NO_MEMORY_GET,
    set: (key, value) => join(`set ${key} 0 0 ${value.length}\r\n`, value, '\r\n'),
    stored: /^STORED\r\n$/,
    refused: new RegExp(`^${NO_MEMORY}$`),
  },
  meta: {
    get: key => Buffer.from(`mg ${key} v\r\n`),
    refusedGet: NO_MEMORY_GET,
    set: (key, value) => join(`ms ${key} ${value.length}\r\n`, value, '\r\n'),
    stored: /^HD\r\n$/,
    refused: new RegExp(`^${NO_MEMORY}$`),
  },
  binary: {
    get: key => Buffer.from(frame(Op.GET, { key, opaque: 7 }), 'latin1'),
    refusedGet: /Out of memory$/,
    set: (key, value) => Buffer.from(store(Op.SET, key, value.toString('latin1')), 'latin1'),
    stored: new RegExp(`^${frame(Op.SET, { magic: 0x81 }).slice(0, 8)}`),
    refused: /Out of memory allocating item$/,
  },
}

for (const [name, dialect] of Object.entries(DIALECTS)) {
  for (const Slow of [DirectPeer, Peer]) {
    const way = Slow === Peer ? 'copied in pieces' : 'from their places'
    t.test(`${name}: slow readers beyond the share get their values, ${way}`, async t => {
      const host = createHost()
      const other = new Peer(host, NEVER, 2 * MIB)
      const slow: Peer[] = []
      const count = 14
      for (let i = 0; i < count; i++) {
        other.feed(dialect.set(`k${i}`, makeValue(i, BYTES)))
        t.match(other.take().toString('latin1'), dialect.stored, 'every value is stored')
        const peer = new Slow(host, () => true)
        peer.queue(dialect.get(`k${i}`))
        peer.eat()
        slow.push(peer)
      }
      const { arena } = host.cache.shards[0]
      t.ok(arena.words[READS_HELD] * 4 < 8 * MIB + 2 * BYTES, `${arena.words[READS_HELD] * 4}`)
      t.ok(host.reply.copyRoom.bytes < COPIES_BYTES_MAX, 'some are copies')
      for (let i = 0; i < count; i++) other.feed(dialect.set(`k${i}`, makeValue(99, BYTES)))
      other.take()
      const { bytes } = host.reply.copyRoom
      host.reply.copyRoom.bytes = BYTES - 1
      other.feed(dialect.get(`k${count - 1}`))
      t.match(other.take().toString('latin1'), dialect.refusedGet, 'no room for another copy')
      host.reply.copyRoom.bytes = bytes
      for (const peer of slow.slice(0, 2)) leave(peer)
      for (const [i, peer] of slow.entries()) {
        if (i < 2) continue
        peer.goOn()
        if (!endsWithValue(peer.take(), makeValue(i, BYTES), name)) t.fail(`value ${i}`)
      }
      t.equal(heldCount(host), 0)
      t.equal(arena.words[READS_HELD], 0)
      t.equal(host.reply.copyRoom.bytes, COPIES_BYTES_MAX)
      verifyAll(host)
    })
  }

  t.test(`${name}: an upload beyond the share waits, and is stored or refused`, async t => {
    const host = createHost()
    const stalled = stall(host, dialect)
    const value = makeValue(1, BYTES)
    const [patient, late] = [new WaitingPeer(host), new WaitingPeer(host)]
    for (const peer of [patient, late]) {
      peer.queue(dialect.set('up', value).subarray(0, 60_000))
      peer.eat()
      t.same(peer.waitsMs, [1])
      t.equal(peer.sentBytes, 0)
    }
    for (let tries = 0; tries < UPLOAD_WAITS_MAX; tries++) late.eat()
    t.equal(late.waitsMs.length, UPLOAD_WAITS_MAX, 'not for ever')
    t.ok(late.waitsMs.reduce((sum, ms) => sum + ms) <= 1600)
    for (const peer of stalled) leave(peer)
    t.equal(host.cache.shards[0].arena.words[UPLOADS_HELD], 0)
    for (const peer of [patient, late]) {
      peer.feed(dialect.set('up', value).subarray(60_000))
      peer.feed(dialect.get('none'))
    }
    t.match(replyTo(patient, dialect), dialect.stored)
    t.match(replyTo(late, dialect), dialect.refused)
    t.equal(heldCount(host), 0)
    verifyAll(host)
  })
}

/** Its requests may run later. */
class WaitingPeer extends DirectPeer {
  readonly waitsMs: number[] = []

  constructor(host: Host) {
    super(host, NEVER, 2 * MIB)
  }

  get takesTurns(): boolean {
    return true
  }

  override later(pauseMs = 0): void {
    this.waitsMs.push(pauseMs)
  }
}

/** Uploads that stop at once and use up the share. */
function stall(host: Host, dialect: Dialect): Peer[] {
  const stalled: Peer[] = []
  for (let i = 0; i < 30; i++) {
    const peer = new DirectPeer(host, NEVER)
    peer.feed(dialect.set(`s${i}`, makeValue(i, BYTES)).subarray(0, 5000))
    stalled.push(peer)
  }
  return stalled
}

/** All replies but the one to the get at the end. */
function replyTo(peer: Peer, dialect: Dialect): string {
  const all = peer.take().toString('latin1')
  const miss = { text: 'END\r\n', meta: 'EN\r\n' }
  for (const end of Object.values(miss)) if (all.endsWith(end)) return all.slice(0, -end.length)
  return dialect === DIALECTS.binary ? all.slice(0, all.lastIndexOf('\x81\0')) : all
}

function endsWithValue(reply: Buffer, value: Buffer, dialect: string): boolean {
  const end = { text: '\r\nEND\r\n', meta: '\r\n', binary: '' }[dialect] ?? ''
  return reply.subarray(-value.length - end.length).equals(join(value, end))
}

function leave(peer: Peer): void {
  if (peer instanceof DirectPeer) peer.close()
  else peer.session.close()
}

function join(...parts: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)),
  )
}
