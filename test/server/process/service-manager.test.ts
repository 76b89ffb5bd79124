/** A service manager listens for the daemon, and hears when it serves, is replaced, and stops. */
import { spawn } from 'node:child_process'
import { connect, type NetConnectOpts } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ENTRY } from '../../support/daemon.ts'
import { skipWithout } from '../../support/oracle.ts'
import { HOST } from '../../support/process.ts'
import { noMishaps, ReconnectingPeer } from '../../support/reconnecting-peer.ts'
import { HEADER_BYTES, UdpPeer } from '../../support/udp-peer.ts'
import { isAlive, until } from '../../support/upgrades.ts'

const MANAGER = fileURLToPath(new URL('./service-manager.py', import.meta.url))
const OPTIONS = { skip: skipWithout('python3') }

/** Has a manager start a daemon with sockets of these kinds. Returns what it printed so far. */
function manage(t: Test, kinds: string, args: string[]): () => string {
  const words = [MANAGER, kinds, process.execPath, ENTRY, '-t', '1', ...args]
  const manager = spawn('python3', words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let heard = ''
  for (const stream of [manager.stdout, manager.stderr]) {
    stream.on('data', chunk => {
      heard += chunk
    })
  }
  t.teardown(() => manager.kill('SIGKILL'))
  return () => heard
}

/** What follows a word that the manager printed; undefined: it has not printed it yet. */
function said(heard: string, word: string): string | undefined {
  return new RegExp(`^${word}[ =](.+)$`, 'm').exec(heard)?.[1]
}

async function askUdp(t: Test, port: number, host = HOST): Promise<string> {
  const peer = await UdpPeer.open(t, port, host)
  const [datagram] = await peer.ask('mg a v\r\n')
  return datagram.toString('latin1', HEADER_BYTES)
}

t.test('sockets by activation, READY, MAINPID', OPTIONS, async t => {
  const kinds = ['tcp', 'unix', 'abstract', 'udp', 'udp6']
  // These addresses are not those of the sockets: nothing listens there.
  const heard = manage(t, kinds.join(), ['-l', '127.0.0.1', '-p', '1', '-U', '1'])
  await until(() => /^READY=1$/m.test(heard()), 'it is ready')
  const [tcp, unix, abstract, udp, udp6] = kinds.map(kind => said(heard(), kind) ?? '')
  const first = Number(said(heard(), 'pid'))
  t.teardown(() => isAlive(first) && process.kill(first, 'SIGKILL'))
  const mishaps = noMishaps()
  const peerAt = (place: NetConnectOpts) => new ReconnectingPeer(() => connect(place), mishaps)
  const peers = [
    peerAt({ port: Number(tcp), host: HOST }),
    peerAt({ path: unix }),
    peerAt({ path: `\0${abstract}` }),
  ]
  const allServe = async (value: string) => {
    for (const peer of peers) t.strictSame(await peer.ask(['mg a v\r\n']), [value])
    for (const [port, host] of [
      [udp, HOST],
      [udp6, '::1'],
    ]) {
      t.equal(await askUdp(t, Number(port), host), `VA ${value.length}\r\n${value}\r\n`)
    }
  }
  t.strictSame(await peers[0].ask(['ms a 1\r\n1\r\n']), ['HD'])
  await allServe('1')
  process.kill(first, 'SIGUSR2')
  await until(() => said(heard(), 'MAINPID') !== undefined, 'the new process is named')
  const second = Number(said(heard(), 'MAINPID'))
  t.teardown(() => isAlive(second) && process.kill(second, 'SIGKILL'))
  await allServe('1')
  t.equal(mishaps.refused, 0)
  await until(() => !isAlive(first), 'the first process ends')
  t.notMatch(heard(), /STOPPING/, 'the service does not stop with it')
  for (const peer of peers) peer.close()
  process.kill(second, 'SIGTERM')
  await until(() => !isAlive(second), 'the second process ends')
  await until(() => /^STOPPING=1$/m.test(heard()), 'it stopped')
  await until(() => /^left unix$/m.test(heard()), 'the socket of the manager stays in its place')
})

t.test('sockets of one kind leave the options of the other', OPTIONS, async t => {
  const heard = manage(t, 'udp', ['-l', '127.0.0.1', '-p', '-1', '-v'])
  const place = /listens on tcp:127\.0\.0\.1:(\d+), udp:127\.0\.0\.1:(\d+)/
  await until(() => place.test(heard()) && /^READY=1$/m.test(heard()), 'it is ready')
  const [, tcp, udp] = place.exec(heard()) ?? []
  t.equal(udp, said(heard(), 'udp'))
  const peer = new ReconnectingPeer(() => connect(Number(tcp), HOST), noMishaps())
  t.strictSame(await peer.ask(['ms a 1\r\n1\r\n']), ['HD'])
  t.equal(await askUdp(t, Number(udp)), 'VA 1\r\n1\r\n')
  peer.close()
  process.kill(Number(said(heard(), 'pid')), 'SIGTERM')
  await until(() => /^STOPPING=1$/m.test(heard()), 'it stops')
})

t.test('what memslab cannot listen on is one line', OPTIONS, async t => {
  for (const kind of ['seqpacket', 'pipe']) {
    const heard = manage(t, `tcp,${kind}`, ['-p', '0'])
    const line =
      /^of LISTEN_FDS sockets of TCP, UDP and UNIX streams are taken, descriptor 4 is .*$/m
    await until(() => line.test(heard()), 'it is refused')
    t.notMatch(heard(), /^ +at /m, `no stack: ${line.exec(heard())}`)
    await until(() => !isAlive(Number(said(heard(), 'pid'))), 'it ends')
  }
})
