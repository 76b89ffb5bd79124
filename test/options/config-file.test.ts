// A file of options: Debian's form, and the command line that wins over it.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { readCommandLine } from '../../lib/cli.ts'
import { DEFAULTS, isRefusal, type Options } from '../../lib/options/options.ts'

/** As Debian's package has it, with its comments cut. */
const DEBIAN = `# memcached default config file
# 2003 - Jay Bonci <jaybonci@debian.org>

# Run memcached as a daemon. This command is implied
-d

# Log memcached's output to /var/log/memcached
logfile /var/log/memcached.log

# -v
-m 64

-p 11211
-u memcache
-l 127.0.0.1

# -c 1024

# Use a pidfile
-P /var/run/memcached/memcached.pid
`

function configOf(t: Test, text: string): string {
  const path = join(t.testdir(), 'options.conf')
  writeFileSync(path, text)
  return path
}

/** What the options of this command line change, but for the file's name; a refusal's line. */
async function changes(argv: string[]): Promise<Partial<Options> | string> {
  const command = await readCommandLine(argv)
  if (isRefusal(command)) return command.line
  if (command.action !== 'serve') return command.action
  const known = Object.entries(command.options)
  const isChanged = ([name, value]: [string, unknown]) =>
    name !== 'allowConfig' &&
    JSON.stringify(value) !== JSON.stringify(DEFAULTS[name as keyof Options])
  return Object.fromEntries(known.filter(isChanged))
}

t.test("Debian's file works as it is, also as a word", async t => {
  const path = configOf(t, DEBIAN)
  const expected = {
    logFile: '/var/log/memcached.log',
    user: 'memcache',
    listen: [{ host: '127.0.0.1', port: 11211 }],
    listenText: '127.0.0.1',
    pidFile: '/var/run/memcached/memcached.pid',
  }
  t.same(await changes(['--config', path]), expected)
  t.same(await changes([`--conf=${path}`]), expected)
  t.same(await changes([path]), expected)
})

t.test('the command line wins, wherever it stands', async t => {
  const path = configOf(t, '-m 100\n-p 1\n-l 10.0.0.1\n-v\n-o no_modern,hashpower=20\n')
  const given = await changes(['-m', '200', '--config', path, '-l', '::1', '-o', 'hashpower=22'])
  t.match(given, {
    memoryLimitBytes: 200 * MIB,
    port: 1,
    listen: [{ host: '::1', port: 1 }],
    verbosity: 1,
    hashpowerInit: 22,
    lruMaintainer: false,
  })
  t.match(await changes(['-vv', path]), { verbosity: 2 })
  t.same(await changes(['-h', path]), 'help')
})

t.test('options may be long, in quotes, several in a line, and repeated', async t => {
  const lines = [
    '--memory-limit=100 -t 2',
    "-s '/tmp/a b' # why",
    '-D"#"',
    '-P "/tmp/a#b"',
    '\t-c 5',
  ]
  t.match(await changes([configOf(t, lines.join('\r\n'))]), {
    memoryLimitBytes: 100 * MIB,
    threads: 2,
    unixSocket: '/tmp/a b',
    pidFile: '/tmp/a#b',
    connectionsMax: 5,
  })
  t.match(await changes([configOf(t, '-l ::1\n-l 127.0.0.1\n-p 1\n-p 2')]), {
    listen: [
      { host: '::1', port: 2 },
      { host: '127.0.0.1', port: 2 },
    ],
  })
  t.same(await changes([configOf(t, '')]), {})
})

t.test('the arguments of the background process need no file', async t => {
  const command = await readCommandLine(['-d', configOf(t, DEBIAN)])
  if (isRefusal(command) || command.action !== 'serve') throw new Error('refused')
  t.equal(command.options.daemonize, true)
  const options = { ...command.options, allowConfig: undefined }
  t.same(await readCommandLine(command.args), { ...command, options })
})

t.test('what is wrong is one line with its place', async t => {
  const path = configOf(t, '')
  const cases: [text: string, line: string][] = [
    ['-m 64\n-z', `${path}:2: Illegal argument "-z"`],
    ['# one\n\n-m 2g', `${path}:3: Illegal value "2g" for -m: a whole number is needed`],
    ['memory 64', `${path}:1: Unknown word "memory"`],
    ['-m', `${path}:1: Illegal argument "-m": --memory-limit needs a value`],
    ['logfile', `${path}:1: Unknown word "logfile"`],
    ['--config other', `${path}:1: --config is not for files`],
  ]
  for (const [text, line] of cases) {
    writeFileSync(path, text)
    t.equal(await changes([path]), line, text)
  }
  writeFileSync(path, '#'.repeat(70_000))
  t.equal(await changes([path]), `The file of options [${path}] is longer than 65536 bytes`)
  const missing = join(path, '..', 'none')
  const reason = `Could not open the file of options [${missing}]: No such file or directory`
  t.equal(await changes([missing]), reason)
  t.equal(await changes(['/']), '[/] is no file of options')
  const told = String(await changes([path, 'b']))
  t.ok(told.startsWith(`Unknown word "${path}": memslab ring, drain, `), told)
  t.ok(told.endsWith(', a file of options, or options (memslab -h)'), told)
})
