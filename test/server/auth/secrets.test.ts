// After a failed log-in no password is left in the daemon's memory, however its bytes arrived, and
// a peer that closed does not keep its place.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkOptions } from '../../../lib/options/checks.ts'
import { isRefusal } from '../../../lib/options/options.ts'
import { FileAuthenticator } from '../../../lib/server/auth/file-authenticator.ts'
import { startDaemon } from '../../../lib/server/daemon.ts'
import { frame, Sasl } from '../../support/auth.ts'
import { startDaemon as startProcess } from '../../support/daemon.ts'
import { ask, comesTrue, openPeer, readUntil } from '../../support/server-peer.ts'
import { shortFolder } from '../../support/unix.ts'

const FAILURE = 'CLIENT_ERROR authentication failure\r\n'
const USERS = 'user:pass\n'
/** In parts, so that this source does not contain them. */
const SECRETS = ['whole', 'pieces', 'kept', 'broken', 'left', 'binary'].map(
  name => `${name}-S3cr3t`,
)
const PAGE_BYTES = 2 ** 20

t.test('a password of a claim is nowhere in memory', async t => {
  for (const more of [[], ['-o', 'no_io_uring']]) {
    const path = writeUsers(t)
    const args = ['-Y', path, '-S', '-t', '1', '-m', '8', ...more]
    const daemon = await startProcess(t, args)
    if (!isReadable(daemon.pid)) return t.comment('the memory of a process cannot be read here')
    const { port } = daemon
    const [whole, pieces, kept, broken, left, binary] = SECRETS
    const peer = await openPeer(port)
    t.equal(await ask(peer, claim(whole), '\n'), FAILURE)
    await sendPieces(peer, claim(pieces))
    t.equal((await readUntil(peer, '\n')).toString(), FAILURE)
    // The second claim arrives in pieces while the answer to the first is delayed.
    peer.write(claim(kept))
    await sendPieces(peer, claim(kept))
    await readUntil(peer, '\n')
    const wrong = await openPeer(port)
    wrong.write(`set a 0 0 ${broken.length + 3}\r\nuser ${broken}\r\n`)
    wrong.write(`get ${broken}\r\n`)
    await readUntil(wrong, '\n')
    const leaver = await openPeer(port)
    await sendPieces(leaver, claim(left).slice(0, -2))
    leaver.destroy()
    const sasl = await openPeer(port)
    const body = frame(Sasl.AUTH, 'PLAIN', `\0user\0${binary}`)
    await sendPieces(sasl, body)
    await readUntil(sasl, 'Auth failure.')
    t.same(secretsIn(daemon.pid), [], more.join(' '))
    for (const socket of [peer, wrong, sasl]) socket.destroy()
  }
})

t.test('a peer that failed and closed frees its place at once', async t => {
  const { judge } = FileAuthenticator.prototype
  // The answer to this one never comes.
  FileAuthenticator.prototype.judge = () => 2 ** 30
  t.teardown(() => {
    FileAuthenticator.prototype.judge = judge
  })
  const unixSocket = join(shortFolder(t), 's')
  const options = checkOptions({ unixSocket, threads: 1, authFile: writeUsers(t) })
  if (isRefusal(options)) throw new Error(options.line)
  const daemon = await startDaemon(options)
  t.teardown(() => daemon.close())
  const peers = await Promise.all([openPeer(unixSocket), openPeer(unixSocket)])
  const [first, second] = peers
  for (const peer of peers) peer.write(claim('nope'))
  t.ok(await comesTrue(() => daemon.roster.current() === 2))
  first.end()
  t.ok(await comesTrue(() => daemon.roster.current() === 1), 'one that closes its side')
  second.destroy()
  t.ok(await comesTrue(() => daemon.roster.current() === 0), 'one that closes')
})

function claim(password: string): string {
  const body = `user ${password}`
  return `set a 0 0 ${body.length}\r\n${body}\r\n`
}

/** Sends byte by byte, so that the daemon reads it in many pieces. */
async function sendPieces(peer: Socket, text: string): Promise<void> {
  peer.setNoDelay(true)
  for (const byte of Buffer.from(text, 'latin1')) {
    await new Promise<void>(written => peer.write(Buffer.of(byte), () => written()))
    await new Promise(resolve => setImmediate(resolve))
  }
}

function writeUsers(t: Test): string {
  return join(t.testdir({ users: USERS }), 'users')
}

function isReadable(pid: number): boolean {
  try {
    closeSync(openSync(`/proc/${pid}/mem`, 'r'))
    return true
  } catch {
    return false
  }
}

/** The secrets found in memory, once per occurrence. */
function secretsIn(pid: number): string[] {
  const found: string[] = []
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const page = Buffer.alloc(PAGE_BYTES + 32)
  for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
    if (start === undefined) continue
    for (let at = Number(`0x${start}`); at < Number(`0x${end}`); at += PAGE_BYTES) {
      const bytes = readPage(memory, page, at, Number(`0x${end}`))
      for (const secret of SECRETS) if (bytes.includes(secret)) found.push(secret)
    }
  }
  closeSync(memory)
  return found
}

function readPage(memory: number, page: Buffer, at: number, end: number): Buffer {
  try {
    const length = Math.min(page.length, end - at)
    return page.subarray(0, readSync(memory, page, 0, length, at))
  } catch {
    return page.subarray(0, 0)
  }
}
