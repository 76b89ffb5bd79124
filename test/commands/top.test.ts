// `memslab top`: figures, the picture, and the command as an operator uses it.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { sampleOf } from '../../lib/commands/servers/sample.ts'
import { type Measures, measure, totalOf, unmeasured } from '../../lib/commands/top/measures.ts'
import {
  arranged,
  COLUMNS,
  duration,
  picture,
  short,
  shortBytes,
} from '../../lib/commands/top/picture.ts'
import { startDaemon } from '../support/daemon.ts'
import { findProgram, skipWithout, startOracle } from '../support/oracle.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { freePort, HOST } from '../support/process.ts'
import { ask, comesTrue, openPeer } from '../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
const seed = announceSeed(t)
const CHOICES = { sort: 0, reversed: false, filter: '', selected: 0 }

function sample(atMs: number, general: Record<string, number>) {
  const rows = Object.entries(general).map(([name, value]): [string, string] => [name, `${value}`])
  return sampleOf([new Map(rows)], atMs)
}

t.test('rates are counters by seconds, and a counter that fell has none', async t => {
  const before = sample(1000, { cmd_get: 100, get_hits: 50, cmd_set: 10, evictions: 5 })
  const now = sample(3000, { cmd_get: 300, get_hits: 200, cmd_set: 10, evictions: 1, bytes: 7 })
  const measures = measure('a', before, now)
  t.match(measures, { gets: 100, sets: 0, hitPercent: 75, evictions: null, bytes: 7, items: null })
  t.match(measure('a', undefined, now), { gets: null, hitPercent: (100 * 200) / 300 })
  t.equal(measure('a', now, now).gets, null, 'no time, no rate')
})

t.test('the total weighs hit ratios by gets and leaves out who is away', async t => {
  const one = { ...unmeasured('a', ''), fault: null, gets: 100, hitPercent: 50, bytes: 1 }
  const two = { ...unmeasured('b', ''), fault: null, gets: 300, hitPercent: 90, bytes: null }
  const total = totalOf([one, two, unmeasured('c', 'away')])
  t.match(total, { server: '2 of 3', gets: 400, hitPercent: 80, bytes: 1, sets: null })
  t.match(totalOf([unmeasured('c', 'away')]), { gets: null, hitPercent: null })
})

t.test('numbers are short', async t => {
  const cases: [number, string, string][] = [
    [0, '0', '0'],
    [999, '999', '999'],
    [1000, '1.0k', '1.0K'],
    [1024, '1.0k', '1.0K'],
    [9949, '9.9k', '9.7K'],
    [123_456, '123k', '121K'],
    [999_999, '1.0M', '977K'],
    [5e9, '5.0G', '4.7G'],
  ]
  for (const [value, plain, bytes] of cases) {
    t.equal(short(value), plain)
    t.equal(shortBytes(value), bytes)
  }
  t.same([0, 59, 60, 3599, 3600, 86_400].map(duration), ['0s', '59s', '1m', '59m', '1h', '1d'])
})

t.test('servers are sorted and filtered as chosen', async t => {
  const of = (server: string, gets: number | null): Measures => ({
    ...unmeasured(server, ''),
    fault: null,
    gets,
  })
  const all = [of('b:10', 5), of('b:9', null), of('a:1', 7)]
  const names = (choices: object) =>
    arranged(all, { ...CHOICES, ...choices }).map(({ server }) => server)
  t.same(names({}), ['a:1', 'b:9', 'b:10'])
  t.same(names({ reversed: true }), ['b:10', 'b:9', 'a:1'])
  t.same(names({ sort: 1 }), ['a:1', 'b:10', 'b:9'])
  t.same(names({ filter: 'b:' }), ['b:9', 'b:10'])
})

t.test('the picture fits any terminal, and servers cannot act on it', async t => {
  const random = createRandom(seed)
  for (let round = 0; round < 300; round++) {
    const count = random.below(6)
    const all = Array.from({ length: count }, (_, i) => {
      const name = `\x1b[31m${'s'.repeat(random.below(60))}${i}`
      if (random.below(4) === 0) return unmeasured(name, 'gone\x07')
      const hotKeys = [{ key: `\u009b${'k'.repeat(random.below(300))}`, percent: 3 }]
      return { ...unmeasured(name, ''), fault: null, gets: random.below(1e9), hotKeys }
    })
    const [width, height] = [random.below(200), random.below(40)]
    const choices = { ...CHOICES, sort: random.below(COLUMNS.length), selected: random.below(9) }
    const lines = picture(all, choices, width, height)
    if (lines.length > height) t.fail(`${lines.length} lines in ${height}`)
    const bad = lines.find(line => line.length > width || /\p{Cc}/u.test(line))
    if (bad !== undefined) t.fail(JSON.stringify(bad))
  }
  t.pass('all fit')
})

t.test('one table of memslab and memcached', { skip: skipWithout('memcached') }, async t => {
  const servers = [await startDaemon(t), await startOracle(t)]
  for (const { port } of servers) {
    const peer = await openPeer(port)
    await ask(peer, `set a 0 0 1\r\nx\r\n${'get a\r\nget b\r\n'.repeat(500)}`, 'END\r\n')
    await ask(peer, 'mn\r\n', 'MN\r\n')
    peer.destroy()
  }
  const names = servers.map(({ port }) => `${HOST}:${port}`)
  const away = `${HOST}:${await freePort()}`
  const { stdout, status } = top([...names, '--once', '--json', '--every', '0.2'])
  t.equal(status, 0)
  const [own, theirs] = JSON.parse(stdout)
  for (const measures of [own, theirs]) {
    t.match(measures, { fault: null, gets: 0, hitPercent: 50, items: 1, evictions: 0 })
    t.equal(measures.classes.length, 1)
  }
  t.match(own, { server: names[0], version: /^memslab \d/, hotKeys: [{ key: /^[ab]$/ }] })
  t.match(theirs, { server: names[1], version: /^memcached \d/, hotKeys: [] })
  const table = top([...names, away, '--once', '--every', '0.2'])
  t.equal(table.status, 1, 'one is away')
  t.match(table.stdout, /^vSERVER .*GET\/S/)
  t.match(table.stdout, new RegExp(`^ ${away} +connect ECONNREFUSED`, 'm'))
  t.match(table.stdout, /^ 2 of 3 .* 0 +- /m)
})

t.test('a server that does not answer, or not sensibly, is said so', async t => {
  const silent = createServer(socket => socket.on('error', () => {})).listen(0, HOST)
  const odd = createServer(socket => socket.on('error', () => {}).end('nonsense\r\n')).listen(
    0,
    HOST,
  )
  await Promise.all([once(silent, 'listening'), once(odd, 'listening')])
  const [a, b] = [silent, odd].map(
    server => `${HOST}:${(server.address() as { port: number }).port}`,
  )
  const child = spawn(process.execPath, [
    MAIN,
    'top',
    `${a}`,
    `${b}`,
    '--once',
    '--json',
    '--every',
    '0.1',
  ])
  let text = ''
  child.stdout.on('data', chunk => (text += chunk))
  const [status] = await once(child, 'close')
  silent.close()
  odd.close()
  t.equal(status, 1)
  const [first, second] = JSON.parse(text)
  t.equal(first.fault, 'no answer in time')
  t.equal(second.fault, 'it closed the connection')
})

t.test('a log-in', async t => {
  const folder = t.testdir({ users: 'ann:secret\n', wrong: 'ann:other\n' })
  const { port } = await startDaemon(t, ['-Y', `${folder}/users`])
  const server = `${HOST}:${port}`
  const once = [server, '--once', '--json', '--every', '0.1', '--login']
  t.match(JSON.parse(top([...once, `${folder}/users`]).stdout), [{ fault: null, items: 0 }])
  t.match(JSON.parse(top([...once, `${folder}/wrong`]).stdout), [{ fault: 'the login is wrong' }])
})

t.test('wrong arguments are one line and the usage', async t => {
  const cases: [args: string[], line: RegExp][] = [
    [[], /^usage: memslab top/],
    [['a b'], /^not a server: a b\nusage/],
    [['a:1', '--zork'], /^Unknown argument: zork\nusage/],
    [['a:1', '--every', '0'], /^--every takes seconds from 0\.1 to 3600\nusage/],
    [['a:1', '--every', 'x'], /^--every takes a number\nusage/],
    [['a:1', '--json'], /^--json needs --once\nusage/],
    [['a:1'], /^this is no terminal: use --once\nusage/],
    [['a:1', '--once', '--login', '/none'], /^cannot read \/none: ENOENT\nusage/],
  ]
  for (const [args, line] of cases) {
    const { status, stderr } = top(args)
    t.equal(status, 64, args.join(' '))
    t.match(stderr, line)
  }
  t.match(top(['--help']), { status: 0, stdout: /^usage: memslab top/ })
})

t.test(
  'in a terminal keys act, and it is left as it was',
  { skip: skipWithout('script') },
  async t => {
    const { port } = await startDaemon(t)
    const command = [process.execPath, MAIN, 'top', `${HOST}:${port}`, '--every', '0.2'].join(' ')
    const child = spawn(findProgram('script') ?? '', ['-qfec', command, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', COLUMNS: '100', LINES: '30' },
    })
    t.teardown(() => child.kill('SIGKILL'))
    let text = ''
    child.stdout.on('data', chunk => (text += chunk.toString('latin1')))
    const shows = (words: string | RegExp) => comesTrue(() => text.search(words) >= 0)
    t.ok(await shows(/vSERVER/), 'sorted by name')
    t.ok(text.startsWith('\x1b[?1049h'), 'on the alternate screen')
    child.stdin.write('s')
    t.ok(await shows(/vGET\/S/), 'sorted by gets')
    child.stdin.write('r')
    t.ok(await shows(/\^GET\/S/), 'reversed')
    child.stdin.write('p')
    t.ok(await shows('PAUSED'))
    child.stdin.write('/nowhere')
    t.ok(await shows('filter: nowhere_'))
    const exited = once(child, 'exit')
    child.stdin.write('\rq')
    t.same((await exited)[0], 0)
    t.ok(text.trimEnd().endsWith('\x1b[?1049l'), 'back on its own screen')
  },
)

function top(args: string[]) {
  const options = { encoding: 'utf8', timeout: 60_000, input: '' } as const
  return spawnSync(process.execPath, [MAIN, 'top', ...args], options)
}
