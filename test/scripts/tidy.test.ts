// Breaks each rule of tidy once, in a small source tree.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { FFI_HOME, GUARDED, HOMES } from '../../scripts/tidy/house.ts'
import { type Breach, findBreaches } from '../../scripts/tidy.ts'

const TIDY = fileURLToPath(new URL('../../scripts/tidy.ts', import.meta.url))
const HEAD = '// Owns nothing.\n'
const FFI = 'node:ffi'

type Files = Record<string, string>

interface Case {
  name: string
  files: Files
  breaches: string[]
}

const statements = (count: number) => '  f()\n'.repeat(count)
const lines = (count: number) => `${HEAD}${'// more\n'.repeat(count - 1)}`
const guestsOf = (name: string) => GUARDED[`lib/engine/arena/${name}.ts`]?.join(', ')
const unfinished = ['TO', 'DO'].join('')

const CASES: Case[] = [
  {
    name: 'imports that point down are allowed',
    files: {
      'lib/bytes/units.ts': HEAD,
      'lib/engine/arena/layout.ts': `${HEAD}import '../../bytes/units.ts'\nimport 'node:assert/strict'\n`,
      'lib/engine/arena/arena.ts': `${HEAD}import './layout.ts'\n`,
      'lib/engine/shard.ts': `${HEAD}import './arena/arena.ts'\n`,
      'lib/protocol/text.ts': `${HEAD}import '../engine/shard.ts'\n`,
      'lib/server/daemon.ts': `${HEAD}import 'node:net'\nimport '../protocol/text.ts'\n`,
      'lib/cli.ts': `${HEAD}import 'yargs-parser'\nawait import('./server/daemon.ts')\n`,
      'lib/main.ts': `#!/usr/bin/env node\n${HEAD}await import('./cli.ts')\nexport {}\n`,
      'lib/index.ts': `${HEAD}export * from './bytes/units.ts'\n`,
      'workers/serve.ts': `${HEAD}import 'node:worker_threads'\nimport '../lib/server/daemon.ts'\n`,
      'test/a.test.ts': `import 'tap'\nimport '../lib/cli.ts'\n`,
    },
    breaches: [],
  },
  {
    name: 'the engine knows no protocol',
    files: {
      'lib/engine/shard.ts': `${HEAD}import type { A } from '../protocol/text.ts'\nexport type B = A\n`,
      'lib/protocol/text.ts': `${HEAD}export type A = 1\n`,
    },
    breaches: ['lib/engine/shard.ts:2: may not import lib/protocol/text.ts'],
  },
  {
    name: 'a protocol knows no server, however it imports',
    files: {
      'lib/server/daemon.ts': HEAD,
      'lib/protocol/session.ts': `${HEAD}export * from '../server/daemon.ts'\n`,
      'lib/protocol/text.ts': `${HEAD}export type A = import('../server/daemon.ts').A\n`,
      'lib/protocol/reply.ts': `${HEAD}await import('../server/daemon.ts')\n`,
    },
    breaches: [
      'lib/protocol/reply.ts:2: may not import lib/server/daemon.ts',
      'lib/protocol/reply.ts:2: await in the request path',
      'lib/protocol/session.ts:2: may not import lib/server/daemon.ts',
      'lib/protocol/text.ts:2: may not import lib/server/daemon.ts',
    ],
  },
  {
    name: 'inside a floor and inside a room, imports point down the rows',
    files: {
      'lib/engine/arena/arena.ts': `${HEAD}import '../items/lru.ts'\n`,
      'lib/engine/arena/layout.ts': `${HEAD}import './lock.ts'\n`,
      'lib/engine/arena/lock.ts': HEAD,
      'lib/engine/items/holds.ts': `${HEAD}import './lru.ts'\n`,
      'lib/engine/items/lru.ts': HEAD,
      'lib/engine/novel.ts': HEAD,
      'lib/engine/attic/box.ts': HEAD,
    },
    breaches: [
      'lib/engine/arena/arena.ts:2: may not import lib/engine/items/lru.ts, which is not below it in lib/engine/',
      'lib/engine/arena/layout.ts:2: may not import lib/engine/arena/lock.ts, which is not below it in lib/engine/arena/',
      'lib/engine/attic/box.ts:1: attic/ has no row in lib/engine/',
      'lib/engine/items/holds.ts:2: may not import lib/engine/items/lru.ts, which is not below it in lib/engine/items/',
      'lib/engine/novel.ts:1: novel.ts has no row in lib/engine/',
    ],
  },
  {
    name: 'bytes, the client and LocalCache import only floors below them',
    files: {
      'lib/bytes/units.ts': `${HEAD}import '../engine/arena/hash.ts'\n`,
      'lib/client/ring/ring.ts': `${HEAD}import '../../engine/arena/hash.ts'\n`,
      'lib/engine/arena/hash.ts': HEAD,
      'lib/local/local-cache.ts': `${HEAD}import '../server/daemon.ts'\n`,
      'lib/server/daemon.ts': HEAD,
    },
    breaches: [
      'lib/bytes/units.ts:2: may not import lib/engine/arena/hash.ts',
      'lib/client/ring/ring.ts:2: may not import lib/engine/arena/hash.ts',
      'lib/local/local-cache.ts:2: may not import lib/server/daemon.ts',
    ],
  },
  {
    name: 'above the engine only reports and dumps read the layout, and nothing locks',
    files: {
      'lib/engine/arena/layout.ts': HEAD,
      'lib/engine/arena/lock.ts': HEAD,
      'lib/protocol/report/report.ts': `${HEAD}import '../../engine/arena/layout.ts'\n`,
      'lib/protocol/session.ts': `${HEAD}import '../engine/arena/layout.ts'\nimport '../engine/arena/lock.ts'\n`,
    },
    breaches: [
      `lib/protocol/session.ts:2: may not import lib/engine/arena/layout.ts, which is for ${guestsOf('layout')}`,
      `lib/protocol/session.ts:3: may not import lib/engine/arena/lock.ts, which is for ${guestsOf('lock')}`,
    ],
  },
  {
    name: 'one file alone calls native code',
    files: {
      [FFI_HOME]: `${HEAD}process.getBuiltinModule('${FFI}')\n`,
      'lib/server/tls/openssl.ts': `${HEAD}process.getBuiltinModule('${FFI}')\n`,
      'test/a.ts': `process.getBuiltinModule('${FFI}')\n`,
    },
    breaches: [`lib/server/tls/openssl.ts:2: only ${FFI_HOME} may use ${FFI}`],
  },
  {
    name: 'the request path never waits, except where that is listed',
    files: {
      'lib/protocol/session.ts': `${HEAD}await 0\nprocess.nextTick(f)\nsetImmediate(f) // await\n`,
      'lib/server/daemon.ts': `${HEAD}await 0\n`,
      'lib/server/service.ts': `${HEAD}setImmediate(f)\nprocess.nextTick(f)\n`,
    },
    breaches: [
      'lib/protocol/session.ts:2: await in the request path',
      'lib/protocol/session.ts:3: nextTick in the request path',
      'lib/protocol/session.ts:4: setImmediate in the request path',
      'lib/server/service.ts:3: nextTick in the request path',
    ],
  },
  {
    name: 'two files have the same name only with the same meaning',
    files: {
      'lib/client/nodes/text.ts': HEAD,
      'lib/client/nodes/walk.ts': HEAD,
      'lib/engine/items/walk.ts': HEAD,
      'lib/protocol/text.ts': HEAD,
    },
    breaches: [
      'lib/engine/items/walk.ts:1: same name as lib/client/nodes/walk.ts, and not in NAMESAKES',
    ],
  },
  {
    name: 'comments stay within 100 columns, and a function takes at most five parameters',
    files: {
      'lib/server/daemon.ts': `${HEAD}// ${'x'.repeat(97)}\n/** ${'x'.repeat(97)} */\nf('${'x'.repeat(99)}')\n`,
      'lib/server/serve.ts': `${HEAD}const f = (a, b, c, d, e) => 0\nfunction g(a, b, c, d, e, f) {}\n`,
      'lib/server/udp.ts': `${HEAD}f() // ${'x'.repeat(97)}\nf() // ${'x'.repeat(10)}\n`,
    },
    breaches: [
      'lib/server/daemon.ts:3: comment beyond column 100',
      'lib/server/serve.ts:3: function of 6 parameters, 5 are allowed',
      'lib/server/udp.ts:2: comment beyond column 100',
    ],
  },
  {
    name: 'a file that is not in the table is reported',
    files: { 'lib/stray.ts': HEAD },
    breaches: ['lib/stray.ts:1: not in the table of floors'],
  },
  {
    name: 'main checks the runtime before it loads anything',
    files: { 'lib/cli.ts': HEAD, 'lib/main.ts': `#!/usr/bin/env node\n${HEAD}import './cli.ts'\n` },
    breaches: ['lib/main.ts:3: lib/main.ts may import only dynamically'],
  },
  {
    name: 'lib/index.ts only re-exports',
    files: { 'lib/index.ts': `${HEAD}export const a = 1\n` },
    breaches: ['lib/index.ts:2: only re-exports are allowed here'],
  },
  {
    name: 'an import cycle is found over several files',
    files: {
      'scripts/a.ts': `${HEAD}import './b.ts'\n`,
      'scripts/b.ts': `${HEAD}import './c.ts'\n`,
      'scripts/c.ts': `${HEAD}import './a.ts'\n`,
    },
    breaches: [
      'scripts/c.ts:2: import cycle: scripts/a.ts -> scripts/b.ts -> scripts/c.ts -> scripts/a.ts',
    ],
  },
  {
    name: 'packages are imported only in their homes, and unknown ones nowhere',
    files: {
      'lib/server/daemon.ts': `${HEAD}import 'yargs/helpers'\nimport 'left-pad'\nimport '@a/b/c'\n`,
      'scripts/a.ts': `${HEAD}import 'yargs'\nimport 'tap'\n`,
    },
    breaches: [
      'lib/server/daemon.ts:2: may not import yargs/helpers, whose home is lib/commands/command-line.ts, scripts/',
      'lib/server/daemon.ts:3: left-pad has no home',
      'lib/server/daemon.ts:4: @a/b/c has no home',
      'scripts/a.ts:3: may not import tap, whose home is test/',
    ],
  },
  {
    name: 'the engine and the protocols use neither sockets nor processes',
    files: {
      'lib/engine/arena/hash.ts': `${HEAD}import 'node:net'\n`,
      'lib/protocol/text.ts': `${HEAD}import 'node:child_process'\n`,
    },
    breaches: [
      `lib/engine/arena/hash.ts:2: may not import node:net, whose home is ${HOMES['node:net']?.join(', ')}`,
      `lib/protocol/text.ts:2: may not import node:child_process, whose home is ${HOMES['node:child_process']?.join(', ')}`,
    ],
  },
  {
    name: 'relative imports end in .ts',
    files: { 'scripts/a.ts': `${HEAD}import './b.js'\n` },
    breaches: ['scripts/a.ts:2: import of scripts/b.js without .ts'],
  },
  {
    name: 'a function has at most 60 lines between its braces',
    files: {
      'scripts/a.ts': `${HEAD}export function f(\n) {\n${statements(60)}}\n`,
      'scripts/b.ts': `${HEAD}export const f = () => {\n${statements(61)}}\n`,
      'scripts/c.ts': `${HEAD}export class C {\n  m() {\n${statements(61)}}\n}\n`,
    },
    breaches: [
      'scripts/b.ts:2: function of 61 lines, 60 are allowed',
      'scripts/c.ts:3: function of 61 lines, 60 are allowed',
    ],
  },
  {
    name: 'a file has at most 500 lines',
    files: { 'scripts/a.ts': lines(500), 'scripts/b.ts': lines(501) },
    breaches: ['scripts/b.ts:501: file of 501 lines, 500 are allowed'],
  },
  {
    name: 'unfinished work and `any` are reported',
    files: {
      'scripts/a.ts': `${HEAD}// ${unfinished}: later\nexport const a = 1 as any\n`,
      'scripts/b.ts': `${HEAD}export const a = 'any' // as any\n`,
    },
    breaches: [`scripts/a.ts:2: ${unfinished} left behind`, 'scripts/a.ts:3: `any`'],
  },
  {
    name: 'a file has a head comment, except in test/',
    files: {
      'scripts/a.ts': 'export const a = 1\n',
      'scripts/b.ts': '\n// late\n',
      'test/a.ts': 'export const a = 1\n',
      'workers/a.ts': '/** Owns nothing. */\n',
    },
    breaches: ['scripts/a.ts:1: no head comment', 'scripts/b.ts:1: no head comment'],
  },
]

for (const { name, files, breaches } of CASES) {
  t.test(name, async t => {
    t.same(findBreaches(t.testdir(treeOf(files))).map(print), breaches)
  })
}

t.test('a data table in the list may be longer', async t => {
  const root = t.testdir(treeOf({ 'scripts/a.ts': lines(501) }))
  t.same(findBreaches(root, { 'scripts/a.ts': 'a table' }), [])
})

t.test('the program prints breaches and fails, or prints nothing', async t => {
  const root = t.testdir(treeOf({ 'lib/bytes/units.ts': 'export {}\n' }))
  const run = (cwd: string) => spawnSync(process.execPath, [TIDY, '.'], { cwd, encoding: 'utf8' })
  const found = run(root)
  t.equal(found.stdout, 'lib/bytes/units.ts:1: no head comment\n')
  t.equal(found.status, 1)
  const none = run(t.testdir({}))
  t.equal(none.stdout + none.stderr, '')
  t.equal(none.status, 0)
})

function print({ path, line, what }: Breach): string {
  return `${path}:${line}: ${what}`
}

// { 'lib/a.ts': text } -> { lib: { 'a.ts': text } }
function treeOf(files: Files) {
  interface Folder {
    [name: string]: string | Folder
  }
  const tree: Folder = {}
  for (const [path, text] of Object.entries(files)) {
    const folders = path.split('/')
    const name = folders.pop() ?? ''
    let folder = tree
    for (const part of folders) {
      const inside = folder[part]
      const next: Folder = typeof inside === 'object' ? inside : {}
      folder[part] = next
      folder = next
    }
    folder[name] = text
  }
  return tree
}
