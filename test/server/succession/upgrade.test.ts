/** A daemon is replaced while clients use it: no connection is refused, no item lost. */
import { execFile, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { createAuthority } from '../../support/certificates.ts'
import { ENTRY, startDaemon, startUnixDaemon } from '../../support/daemon.ts'
import { skipWithout } from '../../support/oracle.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'
import { freePort, HOST, type Owner, startMemcached } from '../../support/process.ts'
import { type Mishaps, noMishaps, ReconnectingPeer } from '../../support/reconnecting-peer.ts'
import { runs } from '../../support/runs.ts'
import { isAlive, startDynasty, until } from '../../support/upgrades.ts'

const seed = announceSeed(t)

const DYING = fileURLToPath(new URL('../../support/dying-successor.ts', import.meta.url))

/** Between two upgrades under load. */
const CALM_MS = 300

/** Its requests wait for an upgrade on a machine that has other work too. */
const POOL_TIMEOUT_MS = 60_000

interface Work {
  goesOn: boolean
  rounds: number
}

/** Sets and gets keys of its own, some a round; every value is the last one that was answered. */
async function pipeline(
  t: Test,
  peer: ReconnectingPeer,
  random: Random,
  name: string,
  work: Work,
): Promise<void> {
  const model = new Map<string, string>()
  for (let serial = 0; work.goesOn; serial++) {
    const keys = Array.from({ length: random.between(1, 40) }, () => `${name}-${random.below(500)}`)
    const values = keys.map((_, i) => `${serial} ${i} `.padEnd(random.between(10, 2000), 'x'))
    const sets = keys.map((key, i) => `ms ${key} ${values[i].length}\r\n${values[i]}\r\n`)
    const stored = await peer.ask(sets)
    for (const [i, reply] of stored.entries()) if (reply === 'HD') model.set(keys[i], values[i])
    const wanted = [...new Set(keys)]
    const gets = await peer.ask(wanted.map(key => `mg ${key} v\r\n`))
    for (const [i, got] of gets.entries()) {
      if (got !== model.get(wanted[i])) t.fail(`${wanted[i]} is ${got.slice(0, 20)}`)
    }
    work.rounds++
  }
  const all = [...model.keys()]
  const gets = await peer.ask(all.map(key => `mg ${key} v\r\n`))
  const lost = all.filter((key, i) => gets[i] !== model.get(key))
  t.equal(lost.length, 0, `${name}: none of ${all.length} items is lost`)
  peer.close()
}

/** Connects, asks and closes, again and again. */
async function visit(open: () => ReturnType<typeof connect>, mishaps: Mishaps, work: Work) {
  while (work.goesOn) {
    const peer = new ReconnectingPeer(open, mishaps)
    await peer.ask(['mn\r\n'])
    peer.close()
    await sleep(1)
  }
}

async function usePool(t: Test, client: ClusterClient, work: Work): Promise<void> {
  for (let serial = 0; work.goesOn; serial++) {
    const key = `pool-${serial % 100}`
    await client.set(key, serial)
    const got = await client.get(key)
    if (got !== serial) t.fail(`the pool got ${got} instead of ${serial}`)
  }
}

async function total(port: number, name: string): Promise<number> {
  const socket = connect(port, HOST)
  socket.end('stats\r\nquit\r\n')
  let text = ''
  for await (const chunk of socket) text += chunk
  return Number(new RegExp(`STAT ${name} (\\S+)`).exec(text)?.[1])
}

t.test('upgrades under load lose and refuse nothing', async t => {
  for (const args of [[], ['-o', 'no_io_uring']]) {
    const dynasty = await startDynasty(t, ['-m', '64', '-t', '2', ...args], startDaemon)
    const { port } = dynasty.server
    const open = () => connect(port, HOST)
    const mishaps = noMishaps()
    const work: Work = { goesOn: true, rounds: 0 }
    const client = new ClusterClient([`${HOST}:${port}`], { timeoutMs: POOL_TIMEOUT_MS })
    const jobs = [
      ...Array.from({ length: 4 }, (_, i) => {
        const peer = new ReconnectingPeer(open, mishaps)
        return pipeline(t, peer, createRandom(seed, i), `peer${i}`, work)
      }),
      visit(open, mishaps, work),
      usePool(t, client, work),
    ]
    const sets = { before: 0 }
    for (let round = 0; round < runs(2, 20); round++) {
      const { rounds } = work
      await until(() => work.rounds > rounds + 5, 'the clients work')
      await sleep(CALM_MS)
      sets.before = await total(port, 'cmd_set')
      await dynasty.upgrade()
      const sum = await total(port, 'cmd_set')
      if (sum < sets.before) t.fail(`cmd_set went from ${sets.before} to ${sum}`)
    }
    await sleep(CALM_MS)
    work.goesOn = false
    await Promise.all(jobs)
    await client.close()
    t.match(mishaps, { refused: 0, torn: 0, failed: 0 }, JSON.stringify(mishaps))
    t.ok(mishaps.closed > 0)
  }
})

t.test('a new process that fails changes nothing', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'upgrade-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const config = join(folder, 'options')
  writeFileSync(config, '-m 64\n')
  const dynasty = await startDynasty(t, ['-t', '2', '--config', config], startDaemon)
  const { server, pid } = dynasty
  const first = pid()
  const peer = new ReconnectingPeer(() => connect(server.port, HOST), noMishaps())
  t.strictSame(await peer.ask(['ms a 1\r\n1\r\n']), ['HD'])
  writeFileSync(config, '-m 64\n-Y /nowhere/users\n')
  process.kill(first, 'SIGUSR2')
  await until(() => /this process goes on/.test(server.output()), 'the failure is told')
  t.match(
    server.output(),
    /upgrade: the new process ended .* \(exit code \d+\); this process goes on/,
  )
  t.strictSame(await peer.ask(['mg a v\r\n']), ['1'])
  t.equal(pid(), first)
  writeFileSync(config, '-m 64\n')
  await dynasty.upgrade()
  t.strictSame(await peer.ask(['mg a v\r\n']), ['1'], 'the next attempt is none the worse')
  t.equal(peer.mishaps.refused, 0)
  peer.close()
})

t.test('a new process that dies with half of the content changes nothing', async t => {
  const start = (owner: Owner, args: string[]) =>
    startMemcached(owner, process.execPath, [DYING, ...args])
  const { server, pid } = await startDynasty(t, ['-t', '2', '-m', '64'], start)
  const first = pid()
  const peer = new ReconnectingPeer(() => connect(server.port, HOST), noMishaps())
  const value = 'v'.repeat(MIB / 2)
  const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`)
  await peer.ask(keys.map(key => `ms ${key} ${value.length}\r\n${value}\r\n`))
  for (let attempt = 1; attempt <= 3; attempt++) {
    process.kill(first, 'SIGUSR2')
    const failures = () => server.output().match(/did not take the content.*this process/g)
    await until(() => failures()?.length === attempt, 'the failure is told')
    const gets = await peer.ask(keys.map(key => `mg ${key} v\r\n`))
    t.equal(gets.filter(got => got === value).length, keys.length)
  }
  t.equal(pid(), first)
  peer.close()
})

t.test('a new process that is killed on its way changes nothing', async t => {
  const dynasty = await startDynasty(t, ['-t', '2', '-m', '64'], startDaemon)
  const { server, pid } = dynasty
  const mishaps = noMishaps()
  const peer = new ReconnectingPeer(() => connect(server.port, HOST), mishaps)
  const keys = Array.from({ length: 2000 }, (_, i) => `key-${i}`)
  const value = 'v'.repeat(1000)
  await peer.ask(keys.map(key => `ms ${key} 1000\r\n${value}\r\n`))
  const random = createRandom(seed)
  let killed = 0
  for (let round = 0; round < runs(3, 60); round++) {
    const old = pid()
    process.kill(old, 'SIGUSR2')
    let child = 0
    await until(() => {
      child = childOf(old)
      return child > 0
    }, 'the new process is there')
    await sleep(random.below(600))
    // As soon as it serves, the old one only waits for its end.
    if (pid() === old && isAlive(old) && childOf(old) === child) {
      process.kill(child, 'SIGKILL')
      killed++
    }
    await until(() => !isAlive(child) || !isAlive(old), 'one of them ends')
    const gets = await peer.ask(keys.map(key => `mg ${key} v\r\n`))
    if (gets.length < keys.length) {
      // It was killed in the milliseconds after it had been given all.
      await until(() => !isAlive(old) && !isAlive(child), 'both end')
      t.comment('killed when it was the only one')
      break
    }
    if (isAlive(old)) t.equal(gets.filter(got => got === value).length, keys.length)
    const told = () => childOf(pid()) === 0
    await until(told, 'the attempt is over')
  }
  t.comment(`${killed} killed`)
  t.equal(mishaps.torn, 0)
  peer.close()
})

/** 0: it has none. */
function childOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')[0])
  } catch {
    return 0
  }
}

t.test('a UNIX socket stays in its place', async t => {
  const dynasty = await startDynasty(t, ['-t', '1'], startUnixDaemon)
  const { path } = dynasty.server
  const mishaps = noMishaps()
  const peer = new ReconnectingPeer(() => connect(path), mishaps)
  const work: Work = { goesOn: true, rounds: 0 }
  const visits = visit(() => connect(path), mishaps, work)
  t.strictSame(await peer.ask(['ms a 1\r\n1\r\n']), ['HD'])
  for (let round = 0; round < 2; round++) {
    await dynasty.upgrade()
    t.strictSame(await peer.ask(['mg a v\r\n']), ['1'])
  }
  work.goesOn = false
  await visits
  t.match(mishaps, { refused: 0, torn: 0, failed: 0 }, JSON.stringify(mishaps))
  peer.close()
  process.kill(dynasty.pid(), 'SIGTERM')
  await until(() => !existsSync(path), 'the last process removes the file')
})

t.test('UDP, TLS, admin and -e go over', { skip: skipWithout('openssl') }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'upgrade-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [admin, udp] = [await freePort(), await freePort()]
  const { cert, key } = createAuthority(t, 'ours').sign('server')
  const file = join(folder, 'memory')
  const args = ['-t', '1', '-Z', '-o', `ssl_chain_cert=${cert},ssl_key=${key}`]
  const more = ['-U', String(udp), '--admin', `notls:${admin}`, '-e', file]
  const dynasty = await startDynasty(t, [...args, ...more], startDaemon)
  const open = () =>
    connectTls({ host: HOST, port: dynasty.server.port, rejectUnauthorized: false })
  const peer = new ReconnectingPeer(open, noMishaps(), 'secureConnect')
  t.strictSame(await peer.ask(['ms a 1\r\n1\r\n']), ['HD'])
  const { pid, pidFile } = dynasty
  const first = pid()
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, [ENTRY, 'upgrade', pidFile])
  t.equal(stdout, `process ${pid()} serves in place of process ${first}\n`)
  t.strictSame(await peer.ask(['mg a v\r\n']), ['1'])
  t.equal(peer.mishaps.refused, 0)
  t.match(await askUdp(udp, 'mg a v\r\n'), /VA 1\r\n1\r\n$/)
  t.equal((await fetch(`http://${HOST}:${admin}/readyz`)).status, 200)
  t.equal(statSync(file).size, 0, 'the old process wrote no image')
  peer.close()
  const last = pid()
  process.kill(last, 'SIGTERM')
  await until(() => !isAlive(last), 'the last process ends')
  t.ok(statSync(file).size > 0, 'the last one did')
  const other = spawn('sleep', ['60'])
  t.teardown(() => other.kill())
  const refused = run(process.execPath, [ENTRY, 'upgrade', String(other.pid)])
  await t.rejects(refused, /is no memslab that could be upgraded/)
})

async function askUdp(port: number, request: string): Promise<string> {
  const socket = createSocket('udp4')
  socket.send(
    Buffer.concat([Buffer.from([0, 1, 0, 0, 0, 1, 0, 0]), Buffer.from(request)]),
    port,
    HOST,
  )
  const [reply] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  return reply.toString('latin1')
}

t.test('with other memory options the items go over one by one', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'upgrade-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const config = join(folder, 'options')
  writeFileSync(config, '-m 64\n-t 2\n')
  const dynasty = await startDynasty(t, ['--config', config], startDaemon)
  const peer = new ReconnectingPeer(() => connect(dynasty.server.port, HOST), noMishaps())
  const keys = Array.from({ length: 3000 }, (_, i) => `key-${i}`)
  const value = 'v'.repeat(700)
  await peer.ask(keys.map(key => `ms ${key} 700 T1000 F5\r\n${value}\r\n`))
  await peer.ask(['ms long 700000\r\n'.concat('l'.repeat(700_000), '\r\n')])
  writeFileSync(config, '-m 96\n-t 3\n-f 1.6\n')
  await dynasty.upgrade()
  const gets = await peer.ask(keys.map(key => `mg ${key} v\r\n`))
  t.equal(gets.filter(got => got === value).length, keys.length)
  t.strictSame(await peer.ask(['mg long v\r\n']), ['l'.repeat(700_000)])
  t.match(await peer.ask(['mg key-1 f t\r\n']), [/^HD f5 t(1000|9\d\d)$/])
  peer.close()
})
