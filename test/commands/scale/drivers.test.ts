// The drivers, against real processes, commands and etcd.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Entries } from '../../../lib/commands/scale/announce/entries.ts'
import { Withdrawals } from '../../../lib/commands/scale/announce/withdrawals.ts'
import { parseConfig } from '../../../lib/commands/scale/config/file.ts'
import { CommandDriver } from '../../../lib/commands/scale/drivers/commands.ts'
import { DesiredDriver } from '../../../lib/commands/scale/drivers/desired.ts'
import { ProcessesDriver } from '../../../lib/commands/scale/drivers/processes.ts'
import { EtcdGateway } from '../../../lib/etcd/gateway.ts'
import { ENTRY, startDaemon } from '../../support/daemon.ts'
import { startEtcd } from '../../support/etcd.ts'
import { skipWithout } from '../../support/oracle.ts'
import { freePort, HOST } from '../../support/process.ts'
import { nodeFolder, nodesIn } from '../../support/scale-run.ts'
import { askOnce, comesTrue } from '../../support/server-peer.ts'

const PROGRAM = [process.execPath, ENTRY]
const { signal } = new AbortController()

async function processes(t: Test, more = {}) {
  const dir = nodeFolder(t)
  const first = await freePort()
  const last = first + 9
  const driver = { processes: { dir, ports: { first, last }, args: ['-t', '1'], ...more } }
  const given = { least: 1, most: 4, policies: { cpu: 60 }, driver }
  const options = parseConfig('it', JSON.stringify(given)).driver.processes
  if (options === undefined) throw new Error('no options')
  const create = () => new ProcessesDriver(options, PROGRAM)
  return { dir, create, driver: create() }
}

const isAlive = (pid: number) => existsSync(`/proc/${pid}`)

t.test('processes: started, adopted, started again, ended', async t => {
  const { dir, create, driver } = await processes(t)
  t.strictSame(await driver.nodes(), [])
  await driver.grow(2, [], signal)
  const names = await driver.nodes()
  t.equal(names.length, 2)
  for (const name of names) {
    const port = Number(name.split(':')[1])
    t.match(await askOnce(port, 'version\r\n', '\r\n'), /^VERSION/)
  }
  const another = create()
  t.strictSame(await another.nodes(), names, 'another scaler finds them')
  await another.grow(2, names, signal)
  t.equal(nodesIn(dir).size, 2, 'nothing is started twice')
  const [[port, pid]] = nodesIn(dir)
  process.kill(pid, 'SIGKILL')
  await comesTrue(async () => !isAlive(pid))
  t.strictSame(await another.nodes(), names, 'a dead one still counts')
  t.strictSame(await another.repair(signal), [`${HOST}:${port}`])
  t.strictSame(await another.repair(signal), [])
  t.match(await askOnce(port, 'version\r\n', '\r\n'), /^VERSION/, 'at the same port')
  await another.remove(names[0], 1, names, signal)
  t.strictSame(await driver.nodes(), names.slice(1))
  await another.remove(names[0], 1, names, signal)
  t.pass('one that is gone is no failure')
  await another.remove(names[1], 0, names, signal)
  t.equal(nodesIn(dir).size, 0)
})

t.test('processes: a number that another process has is not a node', async t => {
  const { dir, driver } = await processes(t)
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  t.teardown(() => stranger.kill('SIGKILL'))
  await once(stranger, 'spawn')
  const port = await freePort()
  writeFileSync(join(dir, `${port}.pid`), `${stranger.pid}\n`)
  t.strictSame(await driver.nodes(), [`${HOST}:${port}`])
  await driver.remove(`${HOST}:${port}`, 0, [], signal)
  t.ok(isAlive(stranger.pid ?? 0), 'it was sent nothing')
  t.strictSame(await driver.nodes(), [])
})

t.test('processes: ports that are taken, options that are wrong', async t => {
  const { driver, dir } = await processes(t)
  await driver.grow(1, [], signal)
  const [port] = nodesIn(dir).keys()
  const ports = { first: port, last: port + 9 }
  const other = await processes(t, { ports })
  await other.driver.grow(1, [], signal)
  t.notSame(await other.driver.nodes(), await driver.nodes())
  const wrong = await processes(t, { args: ['--nonsense'] })
  await t.rejects(wrong.driver.grow(1, [], signal), { message: /exit code 1: .*nonsense/ })
})

t.test('commands: what they get, and how they fail', async t => {
  const folder = t.testdir({ nodes: 'a:1\nb:2\n' })
  const script = join(folder, 'tool')
  writeFileSync(
    script,
    `#!/bin/sh
cd ${folder}
env | grep ^MEMSLAB_SCALE_ | sort | tr '\\n' ' ' >> calls
echo >> calls
case $1 in
  list) cat nodes ;;
  out) echo "c:3" >> nodes ;;
  in) grep -v "^$MEMSLAB_SCALE_NODE$" nodes > left; mv left nodes ;;
  fail) echo "first" >&2; echo "no capacity" >&2; exit 3 ;;
  hang) exec sleep 60 ;;
esac
`,
  )
  chmodSync(script, 0o755)
  const options = {
    ...{ list: [script, 'list'], out: [script, 'out'], in: [script, 'in'] },
    ...{ timeout: 30_000, ready: 30_000 },
  }
  const driver = new CommandDriver(options, { least: 1, most: 5 })
  t.strictSame(await driver.nodes(signal), ['a:1', 'b:2'])
  await driver.grow(3, ['a:1', 'b:2'], signal)
  await driver.remove('b:2', 2, ['a:1', 'b:2', 'c:3'], signal)
  t.strictSame(await driver.nodes(signal), ['a:1', 'c:3'])
  const calls = readFileSync(join(folder, 'calls'), 'utf8').split('\n')
  const range = 'MEMSLAB_SCALE_LEAST=1 MEMSLAB_SCALE_MOST=5'
  t.ok(
    calls.includes(
      `MEMSLAB_SCALE_ACTION=out MEMSLAB_SCALE_CURRENT=2 MEMSLAB_SCALE_DESIRED=3 ${range} MEMSLAB_SCALE_NODES=a:1,b:2 `,
    ),
  )
  t.ok(
    calls.includes(
      `MEMSLAB_SCALE_ACTION=in MEMSLAB_SCALE_CURRENT=3 MEMSLAB_SCALE_DESIRED=2 ${range} MEMSLAB_SCALE_NODE=b:2 MEMSLAB_SCALE_NODES=a:1,b:2,c:3 `,
    ),
  )
  const failing = (more: object) =>
    new CommandDriver({ ...options, ...more }, { least: 1, most: 5 })
  await t.rejects(failing({ list: [script, 'fail'] }).nodes(signal), {
    message: `${script}: exit code 3: no capacity`,
  })
  await t.rejects(failing({ list: ['/nowhere'] }).nodes(signal), { message: '/nowhere: ENOENT' })
  await t.rejects(failing({ list: [script, 'hang'], timeout: 300 }).nodes(signal), {
    message: `${script}: it ran longer than 300 ms`,
  })
  writeFileSync(join(folder, 'nodes'), 'a:1\nno server\n')
  await t.rejects(driver.nodes(signal), { message: 'not a server: "no server"' })
})

t.test(
  'etcd: a desired size, and nodes that announce themselves',
  {
    skip: skipWithout('etcd'),
  },
  async t => {
    const { url } = await startEtcd(t)
    const etcd = new EtcdGateway([url])
    const place = { endpoints: [url], prefix: '/memslab/', state: '/scale/', ttl: 15_000 }
    const withdrawals = new Withdrawals(etcd, place)
    const driver = new DesiredDriver(etcd, place, withdrawals, { ready: 60_000 })
    const start = () => startDaemon(t, ['-t', '1', '--etcd', url, '-o', 'etcd_ttl=5'])
    const first = await start()
    const name = `${HOST}:${first.port}`
    await comesTrue(async () => (await driver.nodes(signal)).length === 1)
    const growing = driver.grow(2, [name], signal)
    await comesTrue(async () => (await etcd.read('/scale/desired'))?.value === '2')
    const second = await start()
    await growing
    const all = await driver.nodes(signal)
    t.equal(all.length, 2)
    const other = `${HOST}:${second.port}`
    await withdrawals.announce([name], [other], signal)
    t.strictSame((await etcd.list('/memslab/')).values, [name], 'clients do not see it')
    t.strictSame((await driver.nodes(signal)).sort(), [...all].sort(), 'it is still there')
    await new Withdrawals(etcd, place).announce(all, [], signal)
    t.strictSame((await etcd.list('/memslab/')).values.sort(), [...all].sort(), 'it is back')
    t.ok((await etcd.read(`/memslab/${other}`))?.lease, 'under its own lease')
    await withdrawals.announce([name], [other], signal)
    await driver.remove(other, 1, all, signal)
    t.strictSame(await driver.nodes(signal), [name])
    t.equal((await etcd.read('/scale/desired'))?.value, '1')
    t.equal((await etcd.read(`/scale/leaving/${other}`))?.value, other)
  },
)

t.test('etcd: entries that the scaler puts', { skip: skipWithout('etcd') }, async t => {
  const { url } = await startEtcd(t)
  const etcd = new EtcdGateway([url])
  const entries = new Entries(etcd, '/memslab/')
  t.strictSame(await entries.seen([], signal), [])
  t.equal(await entries.announce(['a:1', 'b:2'], [], signal), true)
  t.strictSame(await entries.seen([], signal), ['a:1', 'b:2'])
  await entries.announce(['b:2', 'c:3'], ['a:1'], signal)
  t.strictSame(await entries.seen([], signal), ['b:2', 'c:3'])
  t.equal((await etcd.read('/memslab/c:3'))?.lease, undefined)
})
