// Each rule of tidy is broken once, in a small tree of its own.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type Breach, findBreaches } from '../../scripts/tidy.ts'

const TIDY = fileURLToPath(new URL('../../scripts/tidy.ts', import.meta.url))
const HEAD = '// Owns nothing.\n'

type Files = Record<string, string>

interface Case {
  name: string
  files: Files
  breaches: string[]
}

const statements = (count: number) => '  f()\n'.repeat(count)
const lines = (count: number) => `${HEAD}${'// more\n'.repeat(count - 1)}`
const unfinished = ['TO', 'DO'].join('')

const CASES: Case[] = [
  {
    name: 'imports that point downwards are in order',
    files: {
      'lib/limits.ts': HEAD,
      'lib/engine/layout.ts': `${HEAD}import '../limits.ts'\nimport 'node:assert/strict'\n`,
      'lib/engine/arena.ts': `${HEAD}import './layout.ts'\n`,
      'lib/protocol/text.ts': `${HEAD}import '../engine/layout.ts'\n`,
      'lib/server/daemon.ts': `${HEAD}import 'node:net'\nimport '../protocol/text.ts'\n`,
      'lib/cli.ts': `${HEAD}import 'yargs-parser'\nawait import('./server/daemon.ts')\n`,
      'lib/main.ts': `#!/usr/bin/env node\n${HEAD}await import('./cli.ts')\nexport {}\n`,
      'lib/index.ts': `${HEAD}export * from './limits.ts'\n`,
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
    name: 'a protocol knows no server, by whichever way of importing',
    files: {
      'lib/server/a.ts': HEAD,
      'lib/protocol/one.ts': `${HEAD}export * from '../server/a.ts'\n`,
      'lib/protocol/three.ts': `${HEAD}export type A = import('../server/a.ts').A\n`,
      'lib/protocol/two.ts': `${HEAD}await import('../server/a.ts')\n`,
    },
    breaches: [
      'lib/protocol/one.ts:2: may not import lib/server/a.ts',
      'lib/protocol/three.ts:2: may not import lib/server/a.ts',
      'lib/protocol/two.ts:2: may not import lib/server/a.ts',
    ],
  },
  {
    name: 'inside the engine imports go down the ranks',
    files: {
      'lib/engine/arena.ts': `${HEAD}import './shard.ts'\n`,
      'lib/engine/lru.ts': `${HEAD}import './slabs.ts'\n`,
      'lib/engine/novel.ts': HEAD,
      'lib/engine/shard.ts': HEAD,
      'lib/engine/slabs.ts': HEAD,
    },
    breaches: [
      'lib/engine/arena.ts:2: may not import lib/engine/shard.ts, which is not below it in the engine',
      'lib/engine/lru.ts:2: may not import lib/engine/slabs.ts, which is not below it in the engine',
      'lib/engine/novel.ts:1: has no rank in the engine',
    ],
  },
  {
    name: 'limits, the client and the local door stand on little',
    files: {
      'lib/client/ring.ts': `${HEAD}import '../engine/hash.ts'\n`,
      'lib/engine/hash.ts': HEAD,
      'lib/limits.ts': `${HEAD}import './engine/hash.ts'\n`,
      'lib/local.ts': `${HEAD}import './server/a.ts'\n`,
      'lib/server/a.ts': HEAD,
    },
    breaches: [
      'lib/client/ring.ts:2: may not import lib/engine/hash.ts',
      'lib/limits.ts:2: may not import lib/engine/hash.ts',
      'lib/local.ts:2: may not import lib/server/a.ts',
    ],
  },
  {
    name: 'a file without a place in the table is told of',
    files: { 'lib/stray.ts': HEAD },
    breaches: ['lib/stray.ts:1: has no place in the table of floors'],
  },
  {
    name: 'main loads nothing before it has looked at the runtime',
    files: { 'lib/cli.ts': HEAD, 'lib/main.ts': `#!/usr/bin/env node\n${HEAD}import './cli.ts'\n` },
    breaches: ['lib/main.ts:3: lib/main.ts imports dynamically only'],
  },
  {
    name: 'the public door only re-exports',
    files: { 'lib/index.ts': `${HEAD}export const a = 1\n` },
    breaches: ['lib/index.ts:2: only re-exports here'],
  },
  {
    name: 'a cycle is found however long it is',
    files: {
      'lib/server/a.ts': `${HEAD}import './b.ts'\n`,
      'lib/server/b.ts': `${HEAD}import './c.ts'\n`,
      'lib/server/c.ts': `${HEAD}import './a.ts'\n`,
    },
    breaches: [
      'lib/server/c.ts:2: import cycle: lib/server/a.ts -> lib/server/b.ts -> lib/server/c.ts -> lib/server/a.ts',
    ],
  },
  {
    name: 'packages stay at home, and unknown ones have none',
    files: {
      'lib/server/daemon.ts': `${HEAD}import 'yargs/helpers'\nimport 'left-pad'\nimport '@a/b/c'\n`,
      'scripts/a.ts': `${HEAD}import 'yargs'\nimport 'tap'\n`,
    },
    breaches: [
      'lib/server/daemon.ts:2: may not import yargs/helpers, whose home is lib/cli.ts, scripts/',
      'lib/server/daemon.ts:3: left-pad has no home',
      'lib/server/daemon.ts:4: @a/b/c has no home',
      'scripts/a.ts:3: may not import tap, whose home is test/',
    ],
  },
  {
    name: 'sockets and processes stay out of engine and protocol',
    files: {
      'lib/engine/hash.ts': `${HEAD}import 'node:net'\n`,
      'lib/protocol/text.ts': `${HEAD}import 'node:child_process'\n`,
    },
    breaches: [
      'lib/engine/hash.ts:2: may not import node:net, whose home is lib/client/connection.ts, lib/client/memjs-link.ts, lib/server/, workers/, scripts/, test/',
      'lib/protocol/text.ts:2: may not import node:child_process, whose home is lib/server/, scripts/, test/',
    ],
  },
  {
    name: 'relative imports end in .ts',
    files: { 'lib/server/a.ts': `${HEAD}import './b.js'\n` },
    breaches: ['lib/server/a.ts:2: import of lib/server/b.js without .ts'],
  },
  {
    name: 'a function has at most 60 lines between its braces',
    files: {
      'lib/server/a.ts': `${HEAD}export function f(\n) {\n${statements(60)}}\n`,
      'lib/server/b.ts': `${HEAD}export const f = () => {\n${statements(61)}}\n`,
      'lib/server/c.ts': `${HEAD}export class C {\n  m() {\n${statements(61)}}\n}\n`,
    },
    breaches: [
      'lib/server/b.ts:2: function of 61 lines, 60 are allowed',
      'lib/server/c.ts:3: function of 61 lines, 60 are allowed',
    ],
  },
  {
    name: 'a file has at most 500 lines',
    files: { 'lib/server/a.ts': lines(500), 'lib/server/b.ts': lines(501) },
    breaches: ['lib/server/b.ts:501: file of 501 lines, 500 are allowed'],
  },
  {
    name: 'nothing is left for later, and no type is given up',
    files: {
      'lib/server/a.ts': `${HEAD}// ${unfinished}: later\nexport const a = 1 as any\n`,
      'lib/server/b.ts': `${HEAD}export const a = 'any' // as any\n`,
    },
    breaches: [`lib/server/a.ts:2: ${unfinished} left behind`, 'lib/server/a.ts:3: `any`'],
  },
  {
    name: 'a file says at its head what it owns; tests need not',
    files: {
      'lib/server/a.ts': 'export const a = 1\n',
      'scripts/a.ts': '\n// late\n',
      'test/a.ts': 'export const a = 1\n',
      'workers/a.ts': '/** Owns nothing. */\n',
    },
    breaches: [
      'lib/server/a.ts:1: no comment at its head',
      'scripts/a.ts:1: no comment at its head',
    ],
  },
]

for (const { name, files, breaches } of CASES) {
  t.test(name, async t => {
    t.same(findBreaches(t.testdir(treeOf(files))).map(print), breaches)
  })
}

t.test('a data table may be longer, if it is in the list', async t => {
  const root = t.testdir(treeOf({ 'lib/server/a.ts': lines(501) }))
  t.same(findBreaches(root, { 'lib/server/a.ts': 'a table' }), [])
})

t.test('as a program it prints breaches and fails, or prints nothing', async t => {
  const root = t.testdir(treeOf({ 'lib/limits.ts': 'export {}\n' }))
  const run = (cwd: string) => spawnSync(process.execPath, [TIDY, '.'], { cwd, encoding: 'utf8' })
  const found = run(root)
  t.equal(found.stdout, 'lib/limits.ts:1: no comment at its head\n')
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
