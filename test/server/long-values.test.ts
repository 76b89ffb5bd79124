// Long values through real sockets, with the daemon in this process: slow readers whose item is
// replaced or removed, uploads that are broken off or lose their arena, values of 100 MiB.

import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import {
  CLASS_USED_COUNT,
  classAt,
  HOLD_COUNT,
  ITEM_COUNT,
  RESETS,
} from '../../lib/engine/arena/layout.ts'
import { lock } from '../../lib/engine/arena/lock.ts'
import { GIVEN_HOLDER_MIN } from '../../lib/engine/create.ts'
import { checkOptions } from '../../lib/options/checks.ts'
import { isRefusal, type Options } from '../../lib/options/options.ts'
import { Line } from '../../lib/protocol/words/print.ts'
import { type Daemon, startDaemon } from '../../lib/server/daemon.ts'
import { makeValue } from '../support/engine-values.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { HOST } from '../support/process.ts'
import { ask, askOnce, comesTrue, openPeer, readUntil, sendPieces } from '../support/server-peer.ts'
import { verifyAll } from '../support/server-session.ts'

const seed = announceSeed(t)

/** Several times what sockets buffer, so that the value of a peer that does not read waits. */
const LONG = 12 * MIB
/** The first worker's id for locks; its thread is the first of a new pool. */
const FIRST_WORKER = GIVEN_HOLDER_MIN

t.test('slow readers get the value as it was at their request', async t => {
  const daemon = await start(t, { threads: 2, memoryLimitBytes: 128 * MIB })
  const port = portOf(daemon)
  const value = makeValue(1, LONG)
  const writer = await openPeer(port)
  t.equal(await set(writer, 'a', value), 'STORED\r\n')
  const slow: Socket[] = []
  for (let i = 0; i < 6; i++) {
    const peer = await openPeer(port)
    peer.write('get a\r\n')
    slow.push(peer)
  }
  t.ok(await comesTrue(() => heldCount(daemon) === slow.length), 'each holds it')
  t.equal(await set(writer, 'a', makeValue(2, 3 * MIB)), 'STORED\r\n')
  t.equal(await ask(writer, 'flush_all\r\ndelete a\r\n', 'FOUND\r\n'), 'OK\r\nNOT_FOUND\r\n')
  for (let i = 0; i < 30; i++) await set(writer, `fill${i}`, makeValue(i, 6 * MIB))
  verifyAll(daemon)
  slow[0].resetAndDestroy()
  for (const peer of slow.slice(1)) t.ok(isHit(await readUntil(peer, 'END\r\n'), 'a', value))
  t.ok(await comesTrue(() => heldCount(daemon) === 0), 'and then nobody does')
  verifyAll(daemon)
})

t.test('uploads broken off anywhere release their memory', async t => {
  const daemon = await start(t, { threads: 2, memoryLimitBytes: 128 * MIB })
  const random = createRandom(seed, 1)
  const stream = Buffer.concat([Buffer.from(`set a 0 0 ${LONG}\r\n`), makeValue(1, LONG)])
  for (let round = 0; round < 12; round++) {
    const peer = await openPeer(portOf(daemon))
    const end = random.pick([30, 70_000, random.between(1, stream.length), stream.length])
    await sendPieces(peer, stream.subarray(0, end), () => random.between(1, 300_000))
    t.ok(await comesTrue(() => heldCount(daemon) === 1), 'it has begun')
    peer[random.pick(['destroy', 'resetAndDestroy', 'end'] as const)]()
    t.ok(await comesTrue(() => heldCount(daemon) === 0), `${end} bytes`)
    t.ok(await comesTrue(() => usedChunks(daemon) === 0), 'its chunks are free')
    verifyAll(daemon)
    peer.destroy()
  }
})

t.test('an arena emptied after a death leaves values in flight intact', async t => {
  const daemon = await start(t, { threads: 2, memoryLimitBytes: 128 * MIB })
  const port = portOf(daemon)
  const value = makeValue(1, LONG)
  const first = await openPeer(port)
  t.equal(await set(first, 'a', value), 'STORED\r\n')
  first.destroy()
  t.ok(await comesTrue(() => daemon.roster.current() === 0))
  const [readers, writers] = [await openPeers(port, 2), await openPeers(port, 2)]
  for (const peer of readers) peer.write('get a\r\n')
  for (const [i, peer] of writers.entries()) {
    await sendPieces(peer, Buffer.from(`set b${i} 0 0 ${LONG}\r\n`), () => 100)
    await sendPieces(peer, value.subarray(0, LONG / 2), () => 200_000)
  }
  t.ok(await comesTrue(() => heldCount(daemon) === 4))
  for (const { arena } of daemon.cache.shards) {
    lock(arena.words, FIRST_WORKER)
    arena.words[ITEM_COUNT]++
  }
  await daemon.workers.pool.threads[0].terminate()
  t.ok(await comesTrue(() => daemon.roster.restarts() === 1))
  const left = daemon.roster.current()
  // An upload with more to read than it has memory for has noticed already.
  t.ok(await comesTrue(() => heldCount(daemon) <= left), 'the dead thread holds nothing')
  t.equal(daemon.cache.shards[0].arena.words[RESETS], 1)
  verifyAll(daemon)
  const other = await openPeer(port)
  for (let i = 0; i < 30; i++) await set(other, `fill${i}`, makeValue(i, 6 * MIB))
  verifyAll(daemon)
  const hits = await Promise.all(readers.map(peer => readUntil(peer, 'END\r\n')))
  const whole = hits.filter(hit => isHit(hit, 'a', value))
  const answers = await Promise.all(
    writers.map(async peer => {
      const answer = readUntil(peer, '\r\n')
      // The connection of the dead thread is closed.
      await sendPieces(peer, value.subarray(LONG / 2), () => 200_000).catch(() => {})
      if (!peer.destroyed) peer.write('\r\n')
      return `${await answer}`
    }),
  )
  const refused = answers.filter(answer => answer === `${Line.NO_MEMORY_STORE.bytes}`)
  t.equal(whole.length + refused.length, left, 'those left have it all, or are told')
  t.ok(await comesTrue(() => heldCount(daemon) === 0))
  t.equal(await set(other, 'again', value), 'STORED\r\n')
  verifyAll(daemon)
  for (const peer of [...readers, ...writers, other]) peer.destroy()
})

t.test('values of 100 MiB, several of them', async t => {
  const itemSizeMax = 128 * MIB
  const daemon = await start(t, { threads: 1, memoryLimitBytes: 512 * MIB, itemSizeMax })
  const peer = await openPeer(portOf(daemon))
  const sizes = [100 * MIB, 50 * MIB + 12_345, 64 * KIB + 1]
  for (const [i, bytes] of sizes.entries()) {
    t.equal(await set(peer, `k${i}`, makeValue(i, bytes)), 'STORED\r\n')
  }
  for (const [i, bytes] of sizes.entries()) {
    const reply = readUntil(peer, 'END\r\n')
    peer.write(`get k${i}\r\n`)
    t.ok(isHit(await reply, `k${i}`, makeValue(i, bytes)), `${bytes} bytes`)
  }
  t.equal(await askOnce(portOf(daemon), 'delete k0\r\n', '\r\n'), 'DELETED\r\n')
  t.equal(heldCount(daemon), 0)
  verifyAll(daemon)
  peer.destroy()
})

async function set(peer: Socket, key: string, value: Buffer): Promise<string> {
  const answer = readUntil(peer, '\r\n')
  peer.write(`set ${key} 0 0 ${value.length}\r\n`)
  peer.write(value)
  peer.write('\r\n')
  return `${await answer}`
}

function isHit(reply: Buffer, key: string, value: Buffer): boolean {
  const head = Buffer.from(`VALUE ${key} 0 ${value.length}\r\n`)
  return reply.equals(Buffer.concat([head, value, Buffer.from('\r\nEND\r\n')]))
}

function openPeers(port: number, count: number): Promise<Socket[]> {
  return Promise.all(Array.from({ length: count }, () => openPeer(port)))
}

function heldCount({ cache }: Daemon): number {
  return cache.shards.reduce((sum, { arena }) => sum + arena.words[HOLD_COUNT], 0)
}

function usedChunks({ cache }: Daemon): number {
  let used = 0
  for (const { arena } of cache.shards) {
    for (let classId = 1; classId <= arena.classCount; classId++) {
      used += arena.words[classAt(classId) + CLASS_USED_COUNT]
    }
  }
  return used
}

function portOf(daemon: Daemon): number {
  return daemon.addresses[0].port
}

async function start(t: Test, given: Partial<Options>): Promise<Daemon> {
  const itemSizeMax = 16 * MIB
  const options = checkOptions({ listen: [{ host: HOST, port: 0 }], itemSizeMax, ...given })
  if (isRefusal(options)) throw new Error(options.line)
  const daemon = await startDaemon(options)
  t.teardown(async () => {
    await daemon.close()
    await daemon.workers.pool.destroy()
  })
  return daemon
}
