// Password files as the main thread reads them: errors in memcached's words, which file is whose,
// and warnings.

import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DEFAULTS, type Options } from '../../../lib/options/options.ts'
import { Credentials } from '../../../lib/protocol/auth/credentials.ts'
import { AUTH_FILE_BYTES_MAX, AUTH_USERS_MAX } from '../../../lib/protocol/limits.ts'
import { AuthFiles } from '../../../lib/server/auth/files.ts'

const NOBODY = 65534

t.test('with a bad file the daemon does not start', async t => {
  const folder = t.testdir({
    malformed: 'user:pass\nnonsense\n',
    large: 'x'.repeat(AUTH_FILE_BYTES_MAX + 1),
    many: 'a:b\n'.repeat(AUTH_USERS_MAX + 1),
  })
  const opening = (path: string) => `Could not open authfile [${path}] for reading, error`
  const none = '/no/such/file'
  const cases: [given: Partial<Options>, message: string][] = [
    [{ authFile: none }, `${opening(none)} No such file or directory`],
    [{ authFile: '' }, `${opening('')} No such file or directory`],
    [{ authFile: folder }, `${opening(folder)} Illegal operation on a directory`],
    [
      { authFile: join(folder, 'malformed') },
      `Authfile [${folder}/malformed] has a malformed entry. Should be 'user:password'`,
    ],
    [
      { authFile: join(folder, 'large') },
      `${opening(join(folder, 'large'))} larger than ${AUTH_FILE_BYTES_MAX} bytes`,
    ],
    [{ authFile: join(folder, 'many') }, `Authfile [${folder}/many] has more than 1024 users`],
    [{ sasl: true }, '-S needs a password file: MEMCACHED_SASL_PWDB, -o sasl_pwdb= or -Y'],
    [{ sasl: true, saslFile: none }, `${opening(none)} No such file or directory`],
  ]
  for (const [given, message] of cases) {
    t.throws(() => open(given), { message, exitCode: 1 }, JSON.stringify(given))
  }
})

t.test('text and SASL have their own files, and SASL falls back to that of text', async t => {
  const folder = t.testdir({ text: 'a:1\n', sasl: 'a:1\nb:2\nno user\n' })
  const [authFile, saslFile] = [join(folder, 'text'), join(folder, 'sasl')]
  const counts = (given: Partial<Options>) => {
    const { text, sasl } = open(given).handle ?? { text: null, sasl: null }
    return [text, sasl].map(buffer => (buffer === null ? null : new Credentials(buffer).count))
  }
  t.same(counts({ authFile }), [1, null])
  t.same(counts({ authFile, saslFile }), [1, null])
  t.same(counts({ sasl: true, saslFile }), [null, 2])
  t.same(counts({ authFile, sasl: true, saslFile }), [1, 2])
  t.same(counts({ authFile, sasl: true }), [1, 1])
})

t.test('a file that every user may read is reported', async t => {
  const path = join(t.testdir({ users: 'a:1\n' }), 'users')
  const lines: string[] = []
  const files = open({ authFile: path }, lines)
  chmodSync(path, 0o640)
  files.warn()
  t.same(lines, [])
  chmodSync(path, 0o644)
  files.warn()
  t.same(lines, [`Authfile [${path}] can be read by every user of this machine`])
})

t.test('a file that may not be read', async t => {
  const path = join(t.testdir({ users: 'user:old\n' }), 'users')
  chmodSync(path, 0)
  const message = `Could not open authfile [${path}] for reading, error Permission denied`

  asNobody(() => t.throws(() => open({ authFile: path }), { message, exitCode: 1 }))
})

t.test('a path stays the same file when the process changes its folder', async t => {
  const folder = t.testdir({ users: 'user:old\n', elsewhere: {} })
  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  const lines: string[] = []
  const files = open({ authFile: 'users' }, lines)
  process.chdir('elsewhere')
  writeFileSync('../users', 'user:new\nann:x\n')
  files.reload()
  t.same(lines, [])
  t.equal(new Credentials(files.handle?.text ?? new SharedArrayBuffer(0)).count, 2)
  writeFileSync('../users', 'nonsense')
  files.reload()
  t.same(lines, ["Authfile [users] has a malformed entry. Should be 'user:password'"])
})

function open(given: Partial<Options>, lines: string[] = []): AuthFiles {
  return new AuthFiles({ ...DEFAULTS, ...given }, line => lines.push(line))
}

/** Skipped for root, who may read every file. */
function asNobody(run: () => void): void {
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    run()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}
