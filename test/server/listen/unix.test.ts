// A UNIX socket as the only listener: its file and mode, what is served through it, and `stats`.

import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startUnixDaemon } from '../../support/daemon.ts'
import { accepts } from '../../support/process.ts'
import {
  ask,
  askOnce,
  comesTrue,
  digestOf,
  openPeer,
  residentBytes,
  statsOf,
  usedChunks,
} from '../../support/server-peer.ts'
import { shortFolder } from '../../support/unix.ts'

const MAIN = fileURLToPath(new URL('../../../lib/main.ts', import.meta.url))
const IS_ROOT = process.getuid?.() === 0
const AS_NOBODY = IS_ROOT ? ['-u', 'nobody'] : []
const ONLY_ROOT = { skip: IS_ROOT ? false : 'only root can become somebody else' }
const DEAF_PEERS = 10
const DEAF_PEERS_BYTES_MAX = 24 * 2 ** 20
const START_MS_MAX = 20_000

t.test('it serves text requests, and stats has the path', async t => {
  const daemon = await startUnixDaemon(t)
  const peer = await openPeer(daemon.path)
  t.equal(
    await ask(peer, 'set a 0 0 1\r\n4\r\nget a\r\n', 'END\r\n'),
    'STORED\r\nVALUE a 0 1\r\n4\r\nEND\r\n',
  )
  const conns = await ask(peer, 'stats conns\r\n', 'END\r\n')
  t.match(conns, `STAT 1:addr unix:${daemon.path}\r\nSTAT 1:state conn_listening\r\n`)
  t.match(conns, /STAT (\d+):addr \?:<AF 0>\r\nSTAT \1:listen_addr unix:\/.*\/s\r\n/)
  const stats = await statsOf(daemon.path)
  t.equal(stats.get('curr_connections'), '2')
  t.equal(stats.get('accepting_conns'), '1')
  t.ok(Number(stats.get('bytes_read')) > 20, 'its bytes are counted')
})

t.test('it serves no TCP', async t => {
  const daemon = await startUnixDaemon(t)
  const tcp = readFileSync(`/proc/${daemon.pid}/net/tcp`, 'latin1')
  const inodes = new Set(
    [...tcp.matchAll(/ 0A .* (\d+) \d+ [0-9a-f]+ /g)].map(([, inode]) => inode),
  )
  const files = spawnSync('ls', ['-l', `/proc/${daemon.pid}/fd`], { encoding: 'latin1' }).stdout
  const own = [...files.matchAll(/socket:\[(\d+)\]/g)].filter(([, inode]) => inodes.has(inode))
  t.equal(own.length, 0)
})

t.test('the file has the mode of -a, and is removed at the end', async t => {
  const rights: [args: string[], mode: number][] = [
    [[], 0o700],
    [['-a', '0666'], 0o666],
    [['-a', '777'], 0o777],
  ]
  for (const [args, mode] of rights) {
    const daemon = await startUnixDaemon(t, args)
    t.equal(statSync(daemon.path).mode & 0o777, mode)
    await daemon.stop()
    t.notOk(existsSync(daemon.path))
  }
})

t.test('a socket left behind is replaced, any other file is not', async t => {
  const daemon = await startUnixDaemon(t)
  process.kill(daemon.pid, 'SIGKILL')
  t.ok(await comesTrue(async () => !(await accepts(daemon.path))))
  t.ok(existsSync(daemon.path), 'left behind')
  const pidFile = join(shortFolder(t), 'pid')
  const again = run('-d', '-s', daemon.path, '-P', pidFile)
  t.equal(again.status, 0)
  stopLater(t, Number(readFileSync(pidFile, 'utf8')))
  t.equal(
    await askOnce(daemon.path, 'get none\r\n', 'END\r\n'),
    'END\r\n',
    '-d returns when it listens',
  )
  const file = join(shortFolder(t), 'file')
  writeFileSync(file, 'mine')
  const { status, stderr } = run('-s', file)
  t.match(stderr, `failed to listen on UNIX socket: ${file}: Address already in use\n`)
  t.equal(status, 71)
  t.equal(readFileSync(file, 'utf8'), 'mine')
})

t.test('a daemon that answers keeps its socket', async t => {
  const daemon = await startUnixDaemon(t)
  await askOnce(daemon.path, 'set a 0 0 1\r\n1\r\n', 'STORED\r\n')
  const { status, stderr } = run('-s', daemon.path)
  t.match(stderr, `failed to listen on UNIX socket: ${daemon.path}: Address already in use\n`)
  t.equal(status, 71)
  t.equal(await askOnce(daemon.path, 'get a\r\n', 'END\r\n'), 'VALUE a 0 1\r\n1\r\nEND\r\n')
})

t.test('a daemon removes its own socket, and no other', async t => {
  for (const signal of ['SIGTERM', 'SIGUSR1'] as const) {
    const daemon = await startUnixDaemon(t)
    unlinkSync(daemon.path)
    const successor = createServer(socket => socket.end('new'))
    await new Promise<void>(listens => successor.listen(daemon.path, listens))
    t.teardown(() => successor.close())
    process.kill(daemon.pid, signal)
    t.ok(await comesTrue(() => !existsSync(`/proc/${daemon.pid}`)))
    t.equal(await askOnce(daemon.path, '', ''), 'new', 'it is there and answers')
    t.same(readdirSync(dirname(daemon.path)), [basename(daemon.path)], 'nothing lies beside it')
  }
})

t.test('an impossible path gets one line', async t => {
  const folder = shortFolder(t)
  writeFileSync(join(folder, 'file'), '')
  const paths = {
    [join(folder, 'no', 's')]: 'No such file or directory',
    [join(folder, 'file', 's')]: 'Not a directory',
    [join(folder, 'x'.repeat(120))]: 'Name too long',
  }
  for (const [path, reason] of Object.entries(paths)) {
    const { status, stderr } = run('-s', path)
    const [line = ''] = stderr.trim().split('\n').slice(-1)
    t.equal(line, `failed to listen on UNIX socket: ${path}: ${reason}`)
    t.equal(status, 71)
  }
})

t.test('with -u the file belongs to that user', ONLY_ROOT, async t => {
  const daemon = await startUnixDaemon(t, ['-u', 'nobody'])
  const { uid, gid, mode } = statSync(daemon.path)
  t.ok(await comesTrue(() => statSync(daemon.path).uid !== 0), `${uid}:${gid}`)
  t.equal(mode & 0o777, 0o700)
  await daemon.stop()
  t.notOk(existsSync(daemon.path), 'who may remove it at the end')
})

t.test('large values go in and out, peers that do not read cost their bound', async t => {
  const daemon = await startUnixDaemon(t, ['-t', '1'])
  const value = randomBytes(500_000)
  const asker = await openPeer(daemon.path)
  const set = Buffer.concat([Buffer.from('set a 0 0 500000\r\n'), value, Buffer.from('\r\n')])
  t.equal(await ask(asker, set, '\r\n'), 'STORED\r\n')
  const reply = Buffer.concat([
    Buffer.from('VALUE a 0 500000\r\n'),
    value,
    Buffer.from('\r\nEND\r\n'),
  ])
  asker.write('get a\r\n'.repeat(20))
  const wanted = createHash('sha1')
  for (let i = 0; i < 20; i++) wanted.update(reply)
  t.equal(await digestOf(asker, reply.length * 20), wanted.digest('hex'))
  const before = residentBytes(daemon.pid)
  const deaf = await Promise.all(Array.from({ length: DEAF_PEERS }, () => openPeer(daemon.path)))
  for (const peer of deaf) peer.write('get a\r\n'.repeat(5000))
  for (let i = 0; i < 50; i++) t.equal(await ask(asker, 'get none\r\n', 'END\r\n'), 'END\r\n')
  const grown = residentBytes(daemon.pid) - before
  t.ok(grown < DEAF_PEERS_BYTES_MAX, `${grown} bytes`)
  for (const peer of deaf) peer.destroy()
  await ask(asker, 'delete a\r\n', 'DELETED\r\n')
  t.ok(await comesTrue(async () => (await usedChunks(daemon.path)) === 0), 'nothing stays held')
})

t.test('the connection limit holds here too', async t => {
  const daemon = await startUnixDaemon(t, ['-c', '3'])
  const takePlace = async () => {
    const peer = await openPeer(daemon.path)
    return (await ask(peer, 'get none\r\n', '\r\n')) === 'END\r\n'
  }
  for (let i = 0; i < 3; i++) t.ok(await comesTrue(takePlace))
  t.equal(await askOnce(daemon.path, '', ''), 'ERROR Too many open connections\r\n')
})

function run(...args: string[]) {
  const options = { encoding: 'utf8', timeout: START_MS_MAX } as const
  return spawnSync(process.execPath, [MAIN, ...AS_NOBODY, ...args], options)
}

function stopLater(t: { teardown(handler: () => void): void }, pid: number): void {
  t.teardown(() => {
    try {
      process.kill(pid, 'SIGTERM')
    } catch {
      // It is gone already.
    }
  })
}
