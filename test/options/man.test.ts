// The manual page and the completion of the shell.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EXTENDED } from '../../lib/options/help.ts'
import { COMMAND_LINES, manText } from '../../lib/options/man.ts'
import { SWITCHES } from '../../lib/options/switches.ts'
import { findProgram, skipWithout } from '../support/oracle.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))

t.test(
  'the page is sound, and has all options and commands',
  { skip: skipWithout('groff') },
  async t => {
    const input = manText('1.2.3', '2026-01-02')
    const args = ['-man', '-ww', '-Tutf8', '-P-cbou']
    const { status, stdout, stderr } = spawnSync(findProgram('groff') ?? '', args, {
      input,
      encoding: 'utf8',
    })
    t.equal(status, 0)
    t.equal(stderr, '', 'no warnings')
    t.match(stdout, /^MEMSLAB\(1\).*MEMSLAB\(1\)\n/)
    t.match(stdout, /memslab 1\.2\.3 +2026-01-02/)
    // Hyphens of roff must come out as those that one types.
    for (const { letter, name } of SWITCHES) {
      t.ok(stdout.includes(letter === '' ? `--${name}` : `-${letter}, --${name}`), name)
    }
    for (const [name] of EXTENDED) t.ok(stdout.includes(name), name)
    for (const [usage] of COMMAND_LINES) t.ok(stdout.includes(usage.split(' ')[0] ?? ''), usage)
  },
)

t.test('bash completes options, commands and files', { skip: skipWithout('bash') }, async t => {
  const script = spawnSync(process.execPath, [MAIN, 'completion'], { encoding: 'utf8' }).stdout
  const folder = t.testdir({ 'users.txt': '' })
  const complete = (...words: string[]) => {
    const quoted = words.map(word => `'${word}'`).join(' ')
    const ask = `COMP_WORDS=(memslab ${quoted}); COMP_CWORD=${words.length}; _memslab; printf '%s\\n' "\${COMPREPLY[@]}"`
    const options = { encoding: 'utf8', input: `${script}\n${ask}\n`, cwd: folder } as const
    return spawnSync(findProgram('bash') ?? '', [], options)
      .stdout.trim()
      .split('\n')
  }
  t.same(complete('--mem'), ['--memory-limit', '--memory-file'])
  t.same(complete('do'), ['doctor'])
  t.same(complete('-v', 'do'), [''], 'commands come first')
  t.same(complete('-Y', 'us'), ['users.txt'])
  t.same(complete('--admin-auth', ''), ['users.txt'])
})
