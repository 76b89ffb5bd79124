// Sources of servers that are polled: DNS and a configuration endpoint. A failed poll changes
// nothing.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { dnsServers } from '../../../lib/client/discovery/dns.ts'
import {
  elastiCacheServers,
  parseClusterConfig,
} from '../../../lib/client/discovery/elasticache.ts'
import type { Discovery } from '../../../lib/client/discovery/source.ts'
import { staticServers } from '../../../lib/client/discovery/static.ts'
import { talk } from '../../../lib/client/nodes/talk.ts'
import { startDaemon } from '../../support/daemon.ts'
import { findProgram, skipWithout, startOracle } from '../../support/oracle.ts'
import { freePort, HOST } from '../../support/process.ts'
import { startScripted } from '../../support/scripted-server.ts'
import { askOnce, comesTrue } from '../../support/server-peer.ts'

/** The lists that a source reported, as text. */
function follow(t: Test, source: Discovery) {
  const told: string[] = []
  const faults: string[] = []
  const stop = source.watch({
    change: servers => told.push(servers.map(textOf).join(' ')),
    fail: ({ message }) => faults.push(message),
  })
  t.teardown(stop)
  return { told, faults, stop, now: () => told.at(-1) }
}

const textOf = ({ host, port, weight }: { host: string; port?: number; weight?: number }) =>
  `${host}:${port}${weight === undefined ? '' : `:${weight}`}`

t.test('a list', async t => {
  const { told } = follow(t, staticServers(['b:1', { host: 'a', port: 2 }]))
  await comesTrue(async () => told.length > 0)
  t.strictSame(told, ['b:1 a:2'])
  for (const wrong of [['a b'], 'a:1', undefined, [5]]) {
    t.throws(() => staticServers(wrong as string[]), { code: 'ARGUMENT' })
  }
  const stopped = follow(t, staticServers(['b:1']))
  stopped.stop()
  await new Promise(setImmediate)
  t.strictSame(stopped.told, [])
})

/** Debian's dnsmasq on a free port; `serve` makes it answer by these lines of configuration. */
async function startNames(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'names-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  let child: ChildProcess | undefined
  const stop = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => child?.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  t.teardown(stop)
  const serve = async (lines: string[]) => {
    await stop()
    const file = join(folder, 'conf')
    const fixed = [
      `port=${port}`,
      `listen-address=${HOST}`,
      'bind-interfaces',
      'no-resolv',
      'no-hosts',
    ]
    writeFileSync(file, [...fixed, 'local=/test/', ...lines, ''].join('\n'))
    const user = process.getuid?.() === 0 ? ['--user=root'] : []
    const args = ['--keep-in-foreground', `--conf-file=${file}`, '--pid-file=', ...user]
    child = spawn(findProgram('dnsmasq') ?? '', args, { stdio: 'ignore' })
  }
  return { nameServers: [`${HOST}:${port}`], serve, stop }
}

t.test('DNS', { skip: skipWithout('dnsmasq') }, async t => {
  const { nameServers, serve, stop } = await startNames(t)
  await serve(['host-record=pool.test,10.0.0.2,fd00::1', 'host-record=pool.test,10.0.0.1'])
  const options = { nameServers, intervalMs: 50 }
  const both = follow(t, dnsServers('pool.test', options))
  const four = follow(t, dnsServers('pool.test', { ...options, family: 4, port: 1234 }))
  const srv = follow(t, dnsServers('_memcache._tcp.pool.test', { ...options, srv: true }))
  t.ok(await comesTrue(async () => both.told.length > 0 && four.told.length > 0))
  t.equal(both.now(), '10.0.0.1:11211 10.0.0.2:11211 fd00::1:11211')
  t.equal(four.now(), '10.0.0.1:1234 10.0.0.2:1234')
  t.ok(await comesTrue(async () => srv.faults.length > 0), 'no such name')
  t.strictSame(srv.told, [])

  await serve([
    'host-record=pool.test,10.0.0.3',
    'srv-host=_memcache._tcp.pool.test,a.test,1001,0,1',
    'srv-host=_memcache._tcp.pool.test,b.test,1002,0,3',
    'srv-host=_memcache._tcp.pool.test,spare.test,1003,5,3',
  ])
  t.ok(await comesTrue(async () => both.now() === '10.0.0.3:11211'), 'answers change')
  t.ok(await comesTrue(async () => srv.told.length > 0))
  t.equal(srv.now(), 'a.test:1001:1 b.test:1002:3', 'those of the first priority')

  const [before, faults] = [both.told.length, both.faults.length]
  await stop()
  t.ok(await comesTrue(async () => both.faults.length > faults))
  t.equal(both.told.length, before, 'without an answer the last list stays')
  await serve(['host-record=pool.test,10.0.0.4'])
  t.ok(await comesTrue(async () => both.now() === '10.0.0.4:11211'), 'and it is asked again')
  both.stop()
  await serve(['host-record=pool.test,10.0.0.5'])
  t.ok(await comesTrue(async () => four.now() === '10.0.0.5:1234'))
  t.equal(both.now(), '10.0.0.4:11211', 'stopped')
})

/** A name that only /etc/hosts has, and its address. */
function hostOfFile(): [address: string, name: string] | undefined {
  const lines = readFileSync('/etc/hosts', 'latin1').split('\n')
  const pairs = lines.map(line => line.split('#')[0].trim().split(/\s+/))
  const found = pairs.find(([address, name]) => {
    return address?.includes('.') && name !== undefined && !name.startsWith('localhost')
  })
  return found && [found[0], found[1]]
}

const known = hostOfFile()
t.test('a name of /etc/hosts', { skip: known ? false : '/etc/hosts has no name' }, async t => {
  const [address, name] = known ?? ['', '']
  const source = follow(t, dnsServers(name, { family: 4, intervalMs: 50 }))
  t.ok(await comesTrue(() => source.told.length > 0))
  t.ok(source.now()?.split(' ').includes(`${address}:11211`))
})

/** A configuration endpoint; `state` may change while it is polled. */
async function startEndpoint(t: Test, state: { version: number; nodes: string; isOld?: boolean }) {
  return startScripted(t, line => {
    const value = `${state.version}\n${state.nodes}\n`
    if (line === 'config get cluster') {
      return state.isOld ? 'ERROR\r\n' : `CONFIG cluster 0 ${value.length}\r\n${value}\r\nEND\r\n`
    }
    if (line !== 'get AmazonElastiCache:cluster') return undefined
    return `VALUE AmazonElastiCache:cluster 0 ${value.length}\r\n${value}\r\nEND\r\n`
  })
}

t.test('a configuration endpoint', async t => {
  const state = { version: 3, nodes: 'a.test|10.0.0.1|1 b.test||2', isOld: false }
  const { port } = await startEndpoint(t, state)
  const endpoint = `${HOST}:${port}`
  const source = follow(t, elastiCacheServers(endpoint, { intervalMs: 20 }))
  const byIp = follow(t, elastiCacheServers(endpoint, { intervalMs: 20, by: 'ip' }))
  t.ok(await comesTrue(async () => source.told.length > 0 && byIp.told.length > 0))
  t.equal(source.now(), 'a.test:1 b.test:2')
  t.equal(byIp.now(), '10.0.0.1:1 b.test:2')
  Object.assign(state, { version: 4, nodes: 'c.test|10.0.0.3|3', isOld: true })
  t.ok(await comesTrue(async () => source.now() === 'c.test:3'), 'an older engine')
  Object.assign(state, { version: 1, nodes: 'd.test||4' })
  t.ok(await comesTrue(async () => source.now() === 'd.test:4'), 'an older version that stays')
  state.nodes = 'nonsense'
  t.ok(await comesTrue(async () => source.faults.length > 0))
  t.equal(source.now(), 'd.test:4')
  t.equal(new Set(source.told).size, source.told.length, 'told at changes alone')
})

t.test('an older version of another node is ignored at first', async t => {
  let asked = 0
  const { port } = await startScripted(t, () => {
    asked++
    const value = asked % 3 === 0 ? '1\nold.test||1\n' : '2\nnew.test||1\n'
    return `CONFIG cluster 0 ${value.length}\r\n${value}\r\nEND\r\n`
  })
  const source = follow(t, elastiCacheServers(`${HOST}:${port}`, { intervalMs: 5 }))
  t.ok(await comesTrue(async () => asked > 20))
  t.strictSame(source.told, ['new.test:1'])
})

t.test('if the endpoint is away, nodes are asked', async t => {
  const node = await startScripted(t, () => 'ERROR\r\n')
  const state = { version: 1, nodes: `${HOST}||${node.port}` }
  const endpoint = await startEndpoint(t, state)
  const source = follow(t, elastiCacheServers(`${HOST}:${endpoint.port}`, { intervalMs: 20 }))
  t.ok(await comesTrue(async () => source.told.length > 0))
  t.strictSame(node.lines, [])
  endpoint.close()
  t.ok(await comesTrue(async () => node.lines.includes('config get cluster')))
})

t.test('a client of a daemon that is its own endpoint', async t => {
  const other = await startDaemon(t, ['-t', '1'])
  const daemon = await startDaemon(t, ['-t', '1', '-o', `cluster_nodes=${HOST}:${other.port}`])
  const client = new ClusterClient(elastiCacheServers(`${HOST}:${daemon.port}`), {
    timeoutMs: 20_000,
  })
  t.teardown(() => client.close())
  t.equal(await client.set('a', 'v'), true)
  t.strictSame(client.servers(), [`${HOST}:${other.port}`])
})

t.test('all threads of a daemon report nodes that were set', async t => {
  const daemon = await startDaemon(t, ['-t', '2', '-o', 'config_set'])
  const source = follow(t, elastiCacheServers(`${HOST}:${daemon.port}`, { intervalMs: 20 }))
  t.ok(await comesTrue(async () => source.now() !== undefined))
  const value = '2\na||1 b||2\n'
  const request = `config set cluster 0 ${value.length}\r\n${value}\r\n`
  t.equal(await askOnce(daemon.port, request, '\r\n'), 'STORED\r\n')
  t.ok(await comesTrue(async () => source.now() === 'a:1 b:2'))
  for (let i = 0; i < 8; i++) {
    t.match(await askOnce(daemon.port, 'config get cluster\r\n', 'END\r\n'), '\n2\na||1 b||2\n')
  }
})

t.test('memcached keeps it as an item', { skip: skipWithout('memcached') }, async t => {
  const { port } = await startOracle(t)
  const source = follow(t, elastiCacheServers(`${HOST}:${port}`, { intervalMs: 20 }))
  t.ok(await comesTrue(async () => source.faults.length > 0))
  t.match(source.faults[0], /knows of no cluster/)
  const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: 20_000 })
  t.teardown(() => client.close())
  await client.set('AmazonElastiCache:cluster', '7\na|10.0.0.1|1\n')
  t.ok(await comesTrue(async () => source.now() === 'a:1'))
})

t.test('replies that are no configuration', async t => {
  t.strictSame(parseClusterConfig(['1', '']), { version: 1, servers: [] })
  t.strictSame(parseClusterConfig(['2', '|10.0.0.1|1 ']).servers, [{ host: '10.0.0.1', port: 1 }])
  for (const lines of [[], ['x', 'a||1'], ['1', 'a'], ['1', 'a|b'], ['1', '||1'], ['1', 'a||']]) {
    t.throws(() => parseClusterConfig(lines), Error, JSON.stringify(lines))
  }
})

t.test('a line without an end, and a reply that arrives slowly', async t => {
  const timeout = AbortSignal.timeout.bind(AbortSignal)
  t.intercept(AbortSignal, 'timeout', { value: (ms: number) => timeout(ms / 20) })
  const endless = await startScripted(t, () => `CONFIG cluster 0 5\r\n${'x'.repeat(200_000)}`)
  const told = follow(t, elastiCacheServers(`${HOST}:${endless.port}`, { intervalMs: 20 }))
  t.ok(await comesTrue(async () => told.faults.length > 0))
  t.match(told.faults[0], /a line without an end/)
  const drops = await startScripted(t, (_, socket) => {
    const timer = setInterval(() => socket.write('x'), 20)
    socket.once('close', () => clearInterval(timer))
    return 'CONFIG cluster 0 5\r\n'
  })
  const { faults } = follow(t, elastiCacheServers(`${HOST}:${drops.port}`, { intervalMs: 20 }))
  t.ok(await comesTrue(async () => faults.length > 0))
})

t.test('lines that are read slowly do not count as silence of the server', async t => {
  const { port, sockets } = await startScripted(t, () => 'a\r\n')
  const taken: string[] = []
  for await (const line of talk({ host: HOST, port }, 'list\r\n', { silenceMs: 200 })) {
    taken.push(line)
    if (line === 'END') break
    for (const socket of sockets) socket.write('END\r\n')
    await sleep(600)
  }
  t.strictSame(taken, ['a', 'END'])
})
