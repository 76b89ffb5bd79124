/**
 * Real clients against a real daemon on a real port: libmemcached's conformance program and its
 * tools, and a session of pymemcache that walks through its whole surface.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { findProgram, PYTHON, skipWithout, skipWithoutPython } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'

const RUN_MS_MAX = 60_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024
const PYMEMCACHE_SESSION = fileURLToPath(new URL('cases/pymemcache-session.py', import.meta.url))
/** What libmemcached's conformance program is asked for, and how many tests that is at least. */
const MEMCCAPABLE_RUNS: [name: string, args: string[], tests: number][] = [
  ['the text protocol', ['-a'], 27],
  ['the binary protocol', ['-b'], 27],
  ['both', [], 54],
]

interface Ran {
  readonly code: number
  readonly out: string
}

t.test('memccapable passes whole', { skip: skipWithout('memccapable') }, async t => {
  const { port } = await startDaemon(t)
  for (const [name, args, tests] of MEMCCAPABLE_RUNS) {
    const ran = await run('memccapable', [...args, '-h', HOST, '-p', `${port}`])
    const lines = ran.out.split('\n').filter(line => /\[\w+\]/.test(line))
    for (const line of lines) t.match(line, /\[pass\]/, line.trim())
    t.ok(lines.length >= tests, `${name}: ${lines.length} tests`)
    t.match(ran.out, /All tests passed/, name)
    t.equal(ran.code, 0, 'exit code')
  }
})

t.test('pymemcache', { skip: skipWithoutPython('pymemcache') }, async t => {
  const { port } = await startDaemon(t)
  const ran = await run(PYTHON, ['-c', readFileSync(PYMEMCACHE_SESSION, 'utf8'), HOST, `${port}`])
  t.equal(ran.out.trim(), 'done')
  t.equal(ran.code, 0, 'exit code')
})

const tools = [
  'memcstat',
  'memccp',
  'memccat',
  'memcrm',
  'memcping',
  'memcexist',
  'memctouch',
].concat(['memcflush'])

t.test("libmemcached's tools", { skip: skipWithout(...tools) }, async t => {
  const { port } = await startDaemon(t)
  const servers = `--servers=${HOST}:${port}`
  const folder = mkdtempSync(join(tmpdir(), 'memslab-'))
  t.teardown(() => rmSync(folder, { recursive: true }))

  t.equal((await run('memcping', [servers])).code, 0, 'memcping')
  await copyAndRead(t, servers, folder, 'small', 'a small value')
  await copyAndRead(t, servers, folder, 'lines', 'get lines\r\nEND\r\n')
  await copyAndRead(t, servers, folder, 'large', 'large value '.repeat(50_000))
  t.equal((await run('memcexist', [servers, 'small'])).code, 0, 'memcexist')
  t.not((await run('memcexist', [servers, 'never'])).code, 0, 'memcexist of a miss')
  t.equal((await run('memctouch', [servers, '--expire=100', 'small'])).code, 0, 'memctouch')
  t.equal((await run('memcrm', [servers, 'small'])).code, 0, 'memcrm')
  t.not((await run('memccat', [servers, 'small'])).code, 0, 'memccat of what was removed')

  const statistics = await run('memcstat', [servers])
  t.equal(statistics.code, 0, 'memcstat')
  for (const name of ['curr_items', 'cmd_get', 'version', 'threads']) {
    t.match(statistics.out, name, `memcstat prints ${name}`)
  }
  t.equal((await run('memcflush', [servers])).code, 0, 'memcflush')
  t.not((await run('memccat', [servers, 'large'])).code, 0, 'memccat of what was flushed')
})

async function copyAndRead(t: Test, servers: string, folder: string, name: string, value: string) {
  const file = join(folder, name)
  writeFileSync(file, value)
  t.equal((await run('memccp', [servers, file])).code, 0, `memccp of ${name}`)
  const copy = `${file}.copy`
  const read = await run('memccat', [servers, `--file=${copy}`, name])
  t.equal(read.code, 0, `memccat of ${name}`)
  t.ok(readFileSync(copy, 'latin1') === value, `${name} comes back as it was`)
}

function run(program: string, args: string[]): Promise<Ran> {
  const path = findProgram(program) ?? program
  const options = { timeout: RUN_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX }
  return new Promise(resolve => {
    const child = execFile(path, args, options, (_, out, errors) => {
      resolve({ code: child.exitCode ?? -1, out: out + errors })
    })
  })
}
