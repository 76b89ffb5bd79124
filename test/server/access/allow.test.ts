// --allow: which addresses may connect, by TCP, TLS and UDP, read again by SIGHUP.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { AllowList } from '../../../lib/server/access/allow-list.ts'
import { ALLOW_ENTRIES_MAX } from '../../../lib/server/access/limits.ts'
import { createAuthority } from '../../support/certificates.ts'
import { startDaemon, startUnixDaemon } from '../../support/daemon.ts'
import { skipWithout } from '../../support/oracle.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { HOST, type ServerProcess } from '../../support/process.ts'
import { askOnce, comesTrue, readUntil, statsOf } from '../../support/server-peer.ts'
import { datagramOf, UdpPeer } from '../../support/udp-peer.ts'

const seed = announceSeed(t)
/** Another address of this machine. */
const OTHER = '127.0.0.2'
const QUIET_MS = 300

t.test('TCP: addresses that are not listed are closed without a word, and counted', async t => {
  const daemon = await startDaemon(t, ['-v', '--allow', `${HOST}/32,10.0.0.0/8`])
  t.match(await answerFrom(HOST, daemon), /^VERSION/)
  t.equal(await answerFrom(OTHER, daemon), '')
  t.equal(await answerFrom(OTHER, daemon), '')
  const stats = await statsOf(daemon.port, 'memslab')
  t.equal(stats.get('addresses_refused'), '2')
  const general = await statsOf(daemon.port)
  t.equal(general.get('rejected_connections'), '0', 'which are those above -c')
  t.match(daemon.output(), /connection refused: 127\.0\.0\.2 may not connect \(--allow\)/)
})

t.test('TLS: the handshake is not even begun', { skip: skipWithout('openssl') }, async t => {
  const { cert, key } = createAuthority(t, 'authority').sign('server')
  const args = ['-Z', '-o', `ssl_chain_cert=${cert},ssl_key=${key}`, '--allow', HOST]
  const daemon = await startDaemon(t, args)
  const speak = async (localAddress: string) => {
    const raw = connect({ port: daemon.port, host: HOST, localAddress })
    raw.on('error', () => {})
    const socket = connectTls({ socket: raw, rejectUnauthorized: false })
    socket.on('error', () => {})
    socket.write('version\r\n')
    const answer = (await readUntil(socket, '\n')).toString()
    socket.destroy()
    return answer
  }
  t.match(await speak(HOST), /^VERSION/)
  t.equal(await speak(OTHER), '')
})

t.test('UDP: datagrams of other addresses are dropped, and counted', async t => {
  const daemon = await startDaemon(t, ['-U', '-1', '--allow', HOST])
  const conns = await statsOf(daemon.port, 'conns')
  const [, port = ''] =
    [...conns.values()].map(v => /^udp:.*:(\d+)$/.exec(v) ?? []).find(m => m.length > 0) ?? []
  const inside = await UdpPeer.open(t, Number(port))
  t.match(await inside.askText('version\r\n'), /^VERSION/)
  const socket = createSocket('udp4')
  t.teardown(() => socket.close())
  const heard: Buffer[] = []
  socket.on('message', message => heard.push(message))
  socket.bind(0, OTHER)
  await once(socket, 'listening')
  const request = datagramOf({ id: 1, sequence: 0, total: 1 }, 'version\r\n')
  socket.send(request, Number(port), HOST)
  const refused = async () =>
    (await statsOf(daemon.port, 'memslab')).get('addresses_refused') === '1'
  t.ok(await comesTrue(refused))
  // The listed one is answered after it, so the other would have been.
  t.match(await inside.askText('version\r\n', 2), /^VERSION/)
  t.same(heard, [])
})

t.test('a UNIX socket is not concerned', async t => {
  const { path } = await startUnixDaemon(t, ['--allow', '192.0.2.1'])
  t.match(await askOnce(path, 'version\r\n', '\n'), /^VERSION/)
})

t.test('SIGHUP reads the files of the list again; a wrong one changes nothing', async t => {
  const path = join(t.testdir({}), 'allow')
  writeFileSync(path, `# the office\n${OTHER}  # and\n\n${HOST}\n`)
  const daemon = await startDaemon(t, ['--allow', `@${path}`])
  t.match(await answerFrom(OTHER, daemon), /^VERSION/)
  writeFileSync(path, `${HOST}\n`)
  process.kill(daemon.pid, 'SIGHUP')
  t.ok(await comesTrue(async () => (await answerFrom(OTHER, daemon)) === ''))
  for (const [text, fault] of [
    [`${HOST}\n127.0.0.0/33\n`, `${path}:2: "127.0.0.0/33" is no address and no network`],
    ['# nobody\n', `--allow: [${path}] names no address`],
  ] as const) {
    const before = daemon.output().length
    writeFileSync(path, text)
    process.kill(daemon.pid, 'SIGHUP')
    t.ok(await comesTrue(() => daemon.output().slice(before).includes(fault)), fault)
    t.match(await answerFrom(HOST, daemon), /^VERSION/)
    t.equal(await answerFrom(OTHER, daemon), '')
  }
})

t.test('SIGHUP reads the list of the file of options again', async t => {
  const path = join(t.testdir({}), 'memslab.conf')
  writeFileSync(path, `-v\n--allow ${HOST}\n--allow 192.0.2.0/24\n`)
  const daemon = await startDaemon(t, ['--config', path])
  t.equal(await answerFrom(OTHER, daemon), '')
  writeFileSync(path, `--allow ${HOST},${OTHER}\n`)
  process.kill(daemon.pid, 'SIGHUP')
  t.ok(await comesTrue(async () => (await answerFrom(OTHER, daemon)).startsWith('VERSION')))
  writeFileSync(path, `--nonsense\n`)
  const before = daemon.output().length
  process.kill(daemon.pid, 'SIGHUP')
  t.ok(await comesTrue(() => daemon.output().slice(before).includes('--nonsense')))
  t.match(await answerFrom(OTHER, daemon), /^VERSION/)
})

t.test('the list of the command line wins over the file of options', async t => {
  const path = join(t.testdir({}), 'memslab.conf')
  writeFileSync(path, `--allow ${OTHER}\n`)
  const daemon = await startDaemon(t, ['--config', path, '--allow', HOST])
  t.equal(await answerFrom(OTHER, daemon), '')
  process.kill(daemon.pid, 'SIGHUP')
  await new Promise(resolve => setTimeout(resolve, QUIET_MS))
  t.equal(await answerFrom(OTHER, daemon), '')
  t.match(await answerFrom(HOST, daemon), /^VERSION/)
})

t.test('entries that are no address are refused', async t => {
  for (const entry of [
    'x',
    '10.0.0',
    '10.0.0.0/33',
    '::/129',
    '1.2.3.4/',
    '/8',
    'fe80::1%lo',
    '1.2.3.4/-1',
  ])
    t.throws(() => new AllowList({ allow: [entry], allowConfig: undefined }), /is no address/)
  const many = Array.from({ length: ALLOW_ENTRIES_MAX + 1 }, () => HOST)
  t.throws(() => new AllowList({ allow: many, allowConfig: undefined }), /more than/)
  t.throws(
    () => new AllowList({ allow: ['@/nowhere/at/all'], allowConfig: undefined }),
    /could not read/,
  )
})

t.test('random networks and addresses, against plain numbers', async t => {
  const random = createRandom(seed)
  for (let round = 0; round < 300; round++) {
    const isIPv4 = random.once(2)
    const width = isIPv4 ? 32 : 128
    const nets = Array.from({ length: random.between(1, 6) }, () => {
      return { base: randomAddress(random, width), bits: random.between(0, width) }
    })
    const list = new AllowList({
      allow: nets.map(({ base, bits }) => `${textOf(base, width)}/${bits}`),
      allowConfig: undefined,
    })
    for (let i = 0; i < 20; i++) {
      const { base, bits } = random.pick(nets)
      const near = base ^ (1n << BigInt(random.below(width)))
      const address = random.once(2) ? near : randomAddress(random, width)
      const shiftOf = (b: number) => BigInt(width - b)
      const isIn = nets.some(n => n.base >> shiftOf(n.bits) === address >> shiftOf(n.bits))
      t.equal(list.admits(textOf(address, width)), isIn, `${textOf(address, width)} ${bits}`)
      if (isIPv4) t.equal(list.admits(`::ffff:${textOf(address, width)}`), isIn, 'as IPv6')
    }
  }
})

async function answerFrom(localAddress: string, { port }: Pick<ServerProcess, 'port'>) {
  const socket = connect({ port, host: HOST, localAddress })
  socket.on('error', () => {})
  socket.write('version\r\n')
  const answer = (await readUntil(socket, '\n')).toString()
  socket.destroy()
  return answer
}

function randomAddress(random: ReturnType<typeof createRandom>, width: number): bigint {
  let address = 0n
  for (let i = 0; i < width; i += 16) address = (address << 16n) | BigInt(random.below(65536))
  return address
}

function textOf(address: bigint, width: number): string {
  const size = width === 32 ? 8 : 16
  const parts: string[] = []
  for (let at = width - size; at >= 0; at -= size) {
    const part = Number((address >> BigInt(at)) & BigInt(2 ** size - 1))
    parts.push(width === 32 ? String(part) : part.toString(16))
  }
  return parts.join(width === 32 ? '.' : ':')
}
