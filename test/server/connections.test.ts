// Connections of a daemon process: peers that do not read, large values, uploads broken off,
// half-closed and reset connections, and what they leave behind. With io_uring and with sockets.

import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { startDaemon } from '../support/daemon.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import {
  ask,
  askOnce,
  comesTrue,
  digestOf,
  openFiles,
  openPeer,
  readUntil,
  residentBytes,
  sendPieces,
  statsOf,
  usedChunks,
} from '../support/server-peer.ts'

const seed = announceSeed(t)

const DEAF_PEERS = 40
/** A pending reply, waiting input and their objects, with room to spare. */
const DEAF_PEER_BYTES_MAX = 256 * 1024
/** What a heap may grow by before it is collected. */
const SLACK_BYTES = 16 * MIB
const SERVED_MS_MAX = 1000
/** The runtime may open one or two files meanwhile; a leak would be hundreds. */
const FILES_OF_THE_RUNTIME = 4
const CONNECTIONS_DROPPED = 500

/** Where there is no io_uring both are the same. */
const WAYS = { ring: [], sockets: ['-o', 'no_io_uring'] }

for (const [way, options] of Object.entries(WAYS)) {
  const start = (t: Test, args: string[] = []) => startDaemon(t, [...args, ...options])

  t.test(
    `${way}: peers that do not read cost no more than their bound, and miss nothing`,
    async t => {
      const daemon = await start(t, ['-t', '1'])
      const asker = await openPeer(daemon.port)
      const values = [100, 20_000, 32_769, 100_000, 400_000].map(size => randomBytes(size))
      for (const [i, value] of values.entries()) await store(asker, `v${i}`, value)
      for (let i = 0; i < 2000; i++) await ask(asker, 'get v3\r\n', 'END\r\n')
      const before = residentBytes(daemon.pid)
      const round = values.map((_, i) => `get v${i} none\r\n`).join('')
      const rounds = 500
      const deaf: Socket[] = []
      for (let i = 0; i < DEAF_PEERS; i++) {
        const peer = await openPeer(daemon.port)
        peer.write(i === 0 ? round.repeat(rounds) : round.repeat(20_000))
        deaf.push(peer)
      }
      const started = performance.now()
      let slowest = 0
      while (performance.now() - started < 1500) {
        const asked = performance.now()
        t.equal(await ask(asker, 'get none\r\n', 'END\r\n'), 'END\r\n')
        slowest = Math.max(slowest, performance.now() - asked)
        await sleep(50)
      }
      t.ok(slowest < SERVED_MS_MAX, `others wait at most ${slowest.toFixed(0)} ms`)
      const grown = residentBytes(daemon.pid) - before
      const most = DEAF_PEERS * DEAF_PEER_BYTES_MAX + SLACK_BYTES
      t.ok(grown < most, `${DEAF_PEERS} deaf peers cost ${grown} bytes, ${most} are allowed`)
      for (const peer of deaf.slice(1)) peer.destroy()
      const replies = values.map((value, i) => [
        Buffer.from(`VALUE v${i} 0 ${value.length}\r\n`),
        value,
        Buffer.from('\r\nEND\r\n'),
      ])
      const once = Buffer.concat(replies.flat())
      const hash = createHash('sha1')
      for (let i = 0; i < rounds; i++) hash.update(once)
      const given = await digestOf(deaf[0], once.length * rounds)
      t.equal(given, hash.digest('hex'), 'every byte in its place')
      t.equal(
        await ask(deaf[0], 'version\r\nget none\r\n', 'END\r\n').then(s => s.slice(0, 8)),
        'VERSION ',
      )
      for (const i of values.keys()) await ask(asker, `delete v${i}\r\n`, 'DELETED\r\n')
      t.ok(await comesTrue(async () => (await usedChunks(daemon.port)) === 0), 'nothing stays held')
    },
  )

  t.test(`${way}: values of all sizes come back unchanged`, async t => {
    const daemon = await start(t, ['-I', '2m'])
    const random = createRandom(seed, 1)
    const peer = await openPeer(daemon.port)
    const sizes = [1, 2, 100, 4095, 4096, 4097, 32_768, 32_769, 65_536, 65_537, 500_000, MIB]
    for (const size of sizes) {
      const value = randomBytes(size)
      const lengths = random.pick([[size + 100], [1, 3, 997], [65_535, 1], [8191]])
      const pieces = () => random.pick(size > 100_000 ? lengths.map(n => n + 500) : lengths)
      await upload(peer, 'key', value, pieces)
      t.ok((await download(peer, 'key', size)).equals(value), `${size} bytes`)
    }
  })

  t.test(`${way}: a value of 60 MiB comes back unchanged`, async t => {
    const daemon = await start(t, ['-I', '64m', '-m', '1024'])
    const random = createRandom(seed, 2)
    const value = randomBytes(60 * MIB)
    const peer = await openPeer(daemon.port)
    await upload(peer, 'key', value, () => random.between(50_000, 300_000))
    t.ok((await download(peer, 'key', value.length)).equals(value))
    const before = residentBytes(daemon.pid)
    for (let i = 0; i < 3; i++) await download(peer, 'key', value.length)
    t.ok(residentBytes(daemon.pid) - before < SLACK_BYTES, 'no copy of it is made')
  })

  t.test(`${way}: an upload broken off leaves nothing`, async t => {
    const daemon = await start(t)
    await askOnce(daemon.port, 'set a 0 0 1\r\nx\r\n', 'STORED\r\n')
    const used = await usedChunks(daemon.port)
    for (const end of ['destroy', 'resetAndDestroy', 'end'] as const) {
      for (const size of [3000, 5000, 900_000]) {
        const peer = await openPeer(daemon.port)
        peer.write(`set b 0 0 ${size}\r\n`)
        await sendPieces(peer, Buffer.alloc(size / 2, 'v'), () => 60_000)
        if (size > 4096) {
          t.ok(await comesTrue(async () => (await usedChunks(daemon.port)) > used), 'it has begun')
        }
        peer[end]()
        t.ok(
          await comesTrue(async () => (await usedChunks(daemon.port)) === used),
          `${end} ${size}`,
        )
        if (end === 'end') t.equal((await readUntil(peer, '')).length, 0, 'and is closed')
      }
    }
    t.equal((await statsOf(daemon.port)).get('curr_items'), '1')
  })

  t.test(`${way}: a peer that closed its side gets its replies, then is closed`, async t => {
    const daemon = await start(t)
    const value = randomBytes(700_000)
    const asker = await openPeer(daemon.port)
    await store(asker, 'a', value)
    const quick = await openPeer(daemon.port)
    quick.end('get none\r\nversion\r\nget none\r\n')
    t.match((await readUntil(quick, '')).toString(), /^END\r\nVERSION .*\r\nEND\r\n$/)
    const slow = await openPeer(daemon.port)
    slow.end('get a\r\n'.repeat(40))
    await sleep(300)
    const replies = await readUntil(slow, '')
    const reply = Buffer.concat([
      Buffer.from('VALUE a 0 700000\r\n'),
      value,
      Buffer.from('\r\nEND\r\n'),
    ])
    t.equal(replies.length, reply.length * 40)
    t.ok(replies.equals(Buffer.concat(new Array(40).fill(reply))), 'all of them')
    const cut = await openPeer(daemon.port)
    cut.end('get none\r\nget no')
    t.equal((await readUntil(cut, '')).toString(), 'END\r\n')
  })

  t.test(`${way}: quit closes the connection, after the replies before it`, async t => {
    const daemon = await start(t)
    const asker = await openPeer(daemon.port)
    const value = randomBytes(300_000)
    await store(asker, 'a', value)
    const peer = await openPeer(daemon.port)
    peer.write(`${'get a\r\n'.repeat(30)}quit\r\n`)
    await sleep(200)
    const replies = await readUntil(peer, '')
    t.equal(replies.length, ('VALUE a 0 300000\r\n\r\nEND\r\n'.length + value.length) * 30)
    t.equal(await askOnce(daemon.port, 'quit\r\nversion\r\n', ''), '')
  })

  t.test(`${way}: connections dropped at random leave neither files nor memory`, async t => {
    const daemon = await start(t, ['-t', '2', '-c', '200'])
    const random = createRandom(seed, 3)
    const asker = await openPeer(daemon.port)
    await store(asker, 'a', randomBytes(300_000))
    await store(asker, 'b', randomBytes(1000))
    // Each thread opens a file with its first connection.
    const early = await Promise.all(Array.from({ length: 8 }, () => openPeer(daemon.port)))
    for (const peer of early) await ask(peer, 'get none\r\n', 'END\r\n')
    for (const peer of early) peer.destroy()
    await sleep(300)
    const connections = (await statsOf(daemon.port)).get('curr_connections')
    const files = openFiles(daemon.pid)
    const drop = async () => {
      const peer = await openPeer(daemon.port)
      peer.write(
        random.pick(['', 'get a b\r\n'.repeat(50), 'set c 0 0 9', `get ${'b '.repeat(2000)}`]),
      )
      peer.write(random.pick(['', '00000\r\nvalue', 'quit\r\n', '\r\nstats\r\nget a a a\r\n']))
      if (random.once(2)) await sleep(random.below(20))
      if (random.once(3)) peer.resume()
      peer[random.pick(['destroy', 'resetAndDestroy', 'destroySoon'] as const)]()
      // Not events.once: a broken pipe first emits an error, and is no fault of the daemon.
      if (!peer.closed) await new Promise<void>(resolve => peer.once('close', () => resolve()))
    }
    for (let done = 0; done < CONNECTIONS_DROPPED; done += 25) {
      await Promise.all(Array.from({ length: 25 }, drop))
    }
    const same = async () => (await statsOf(daemon.port)).get('curr_connections') === connections
    t.ok(await comesTrue(same), 'connections')
    const noMore = () => openFiles(daemon.pid) <= files + FILES_OF_THE_RUNTIME
    t.ok(await comesTrue(noMore), `${openFiles(daemon.pid)} files, ${files} before`)
    await ask(asker, 'delete a\r\ndelete b\r\ndelete c\r\nget none\r\n', 'END\r\n')
    t.ok(await comesTrue(async () => (await usedChunks(daemon.port)) === 0), 'nothing stays held')
  })

  t.test(`${way}: an idle peer is left alone`, async t => {
    const daemon = await start(t)
    const peer = await openPeer(daemon.port)
    peer.write('get no')
    await sleep(2500)
    t.equal(await ask(peer, 'ne\r\n', 'END\r\n'), 'END\r\n')
    const idle = [...(await statsOf(daemon.port, 'conns'))].find(([name]) =>
      name.endsWith('last_cmd'),
    )
    t.ok(idle !== undefined)
  })
}

async function store(peer: Socket, key: string, value: Buffer): Promise<void> {
  await upload(peer, key, value, () => value.length + 100)
}

async function upload(peer: Socket, key: string, value: Buffer, nextLength: () => number) {
  const head = Buffer.from(`set ${key} 0 0 ${value.length}\r\n`)
  const reply = readUntil(peer, '\r\n')
  await sendPieces(peer, Buffer.concat([head, value, Buffer.from('\r\n')]), nextLength)
  const line = (await reply).toString('latin1')
  if (line !== 'STORED\r\n') throw new Error(`${key}: ${line}`)
}

/** The value in the reply to a get; throws if anything around it is wrong. */
async function download(peer: Socket, key: string, bytes: number): Promise<Buffer> {
  const head = `VALUE ${key} 0 ${bytes}\r\n`
  const chunks: Buffer[] = []
  let missing = head.length + bytes + '\r\nEND\r\n'.length
  const all = new Promise<void>(resolve => {
    const take = (chunk: Buffer) => {
      chunks.push(chunk)
      missing -= chunk.length
      if (missing > 0) return
      peer.pause().off('data', take)
      resolve()
    }
    peer.on('data', take).resume()
  })
  peer.write(`get ${key}\r\n`)
  await all
  const reply = Buffer.concat(chunks)
  const value = reply.subarray(head.length, head.length + bytes)
  const around =
    reply.toString('latin1', 0, head.length) + reply.toString('latin1', head.length + bytes)
  if (around !== `${head}\r\nEND\r\n`) throw new Error(`around the value: ${around}`)
  return value
}
