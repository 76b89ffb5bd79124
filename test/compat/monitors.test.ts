/**
 * Monitors of memcached on memslab: the plug-ins of munin and collectd, the Nagios check and
 * libmemcached's tools. Each parses `stats` in its own way and must find what it looks for.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { findProgram, skipWithout } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'
import { Wire } from '../support/wire.ts'

const RUN_MS_MAX = 20_000
const COLLECT_MS = 4_000
const MUNIN_PLUGIN = '/usr/share/munin/plugins/memcached_'
const MUNIN_READER = '/usr/share/perl5/Cache/Memcached.pm'
const NAGIOS_CHECK = '/usr/lib/nagios/plugins/check_memcached'
const TRAFFIC = 'set a 0 0 3\r\nabc\r\nset b 0 0 1\r\nb\r\nget a b\r\nget none\r\ndelete b\r\n'
const TRAFFIC_END = 'DELETED\r\n'

/** After that. */
const MUNIN_GRAPHS: [graph: string, values: string[]][] = [
  ['rates', ['cache_hits 2', 'cache_misses 1', 'cmd_get 3', 'cmd_set 2', 'total_items 2']],
  ['counters', ['curr_items 1', 'bytes_allocated \\d+', 'curr_connections \\d+']],
  ['bytes', ['bytes_read \\d+', 'bytes_written \\d+']],
]

const REPORTS: [report: string, value: RegExp][] = [
  ['', /\bcurr_items: 1\n/],
  ['items', /\bitems:\d+:number: 1\n/],
  ['slabs', /\b\d+:used_chunks: 1\n/],
  ['settings', /\bmaxconns: 1024\n/],
  ['sizes', /\bsizes_status: disabled\n/],
  ['conns', /\b\d+:state: conn_listening\n/],
]

t.test('munin', { skip: skipWithoutFiles(MUNIN_PLUGIN, MUNIN_READER) }, async t => {
  const port = await startWithTraffic(t)
  const folder = createFolder(t)
  for (const [graph, values] of MUNIN_GRAPHS) {
    const plugin = join(folder, `memcached_${graph}`)
    symlinkSync(MUNIN_PLUGIN, plugin)
    const { out, code } = await run(plugin, [], { host: HOST, port: `${port}` })
    t.equal(code, 0, `memcached_${graph}`)
    for (const value of values)
      t.match(out, new RegExp(`^memcache_${value.replace(' ', '.value ')}$`, 'm'))
  }
})

t.test('collectd', { skip: skipWithout('collectd') }, async t => {
  const port = await startWithTraffic(t)
  const folder = createFolder(t)
  const config = join(folder, 'collectd.conf')
  writeFileSync(config, collectdConfig(folder, port))
  // It prints what it has collected when it is asked to end.
  const { out } = await run(findProgram('collectd') ?? '', ['-f', '-C', config], {}, COLLECT_MS)
  for (const value of ['command-set.*:2', 'command-get.*:3', 'ops-hits.*:2', 'ops-misses.*:1']) {
    t.match(out, new RegExp(`/memcached_${value}\n`))
  }
  t.match(out, /\/memcached_items-current .*:1\.0+\n/)
  t.match(out, /\/df-cache .*:\d+\.0+:\d+\.0+\n/)
})

t.test('the Nagios check', { skip: skipWithoutFiles(NAGIOS_CHECK) }, async t => {
  const port = await startWithTraffic(t)
  // It stores what it saw in the cache itself, and reports it on its next run.
  const first = await run(NAGIOS_CHECK, ['-H', `${HOST}:${port}`])
  t.match(first.out, /^OK: no stats available yet/)
  t.equal(first.code, 0)
})

t.test('memcstat and memcslap', { skip: skipWithout('memcstat', 'memcslap') }, async t => {
  const port = await startWithTraffic(t)
  const server = `--servers=${HOST}:${port}`
  for (const [report, value] of REPORTS) {
    const args = report === '' ? [server] : [server, `--args=${report}`]
    const { out, code } = await run(findProgram('memcstat') ?? '', args)
    t.equal(code, 0, `stats ${report}`)
    t.match(out, value, `stats ${report}`)
  }
  for (const test of ['set', 'get', 'mget']) {
    const load = ['--concurrency=2', '--execute-number=20', '--initial-load=100']
    const { out, code } = await run(findProgram('memcslap') ?? '', [
      server,
      `--test=${test}`,
      ...load,
    ])
    t.equal(code, 0, `memcslap ${test}`)
    t.match(out, new RegExp(`Time to ${test} +40 keys by +2 threads`))
    t.notMatch(out, /fail|error/i)
  }
})

async function startWithTraffic(t: Test): Promise<number> {
  const { port } = await startDaemon(t)
  const wire = await Wire.connect(port)
  wire.send(Buffer.from(TRAFFIC))
  await wire.readUntil(Buffer.from(TRAFFIC_END), RUN_MS_MAX)
  wire.close()
  return port
}

function collectdConfig(folder: string, port: number): string {
  return `Hostname "test"
FQDNLookup false
Interval 1
PIDFile "${join(folder, 'pid')}"
BaseDir "${folder}"
LoadPlugin csv
LoadPlugin memcached
<Plugin csv>
  DataDir "stdout"
</Plugin>
<Plugin memcached>
  <Instance "test">
    Host "${HOST}"
    Port "${port}"
  </Instance>
</Plugin>
`
}

function run(
  program: string,
  args: string[],
  env: Record<string, string> = {},
  timeout = RUN_MS_MAX,
) {
  const options = { timeout, env: { ...process.env, ...env } }
  return new Promise<{ code: number; out: string }>(resolve => {
    const child = execFile(program, args, options, (_, out, errors) => {
      resolve({ code: child.exitCode ?? -1, out: out + errors })
    })
  })
}

function createFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'memslab-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

function skipWithoutFiles(...paths: string[]): string | false {
  const missing = paths.filter(path => !existsSync(path))
  return skipWithout(...missing)
}
