// `memslab ring` as an operator uses it.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createRing, ownerOf } from '../../lib/client/ring/ring.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))

function ask(args: string[], input: string) {
  return spawnSync(process.execPath, [MAIN, 'ring', ...args], { input, encoding: 'utf8' })
}

t.test('each line of input, a key, gets a line with its owner', async t => {
  const servers = ['10.0.0.1:11211', '10.0.0.2:11211:3', '[::1]:11212']
  const ring = createRing([
    { host: '10.0.0.1', port: 11211 },
    { host: '10.0.0.2', port: 11211, weight: 3 },
    { host: '::1', port: 11212 },
  ])
  const names = ['10.0.0.1:11211', '10.0.0.2:11211', '[::1]:11212']
  const keys = Array.from({ length: 500 }, (_, i) => `key-${i}`)
  const { stdout, status } = ask(servers, `${keys.join('\n')}\n`)
  t.same(
    stdout.trimEnd().split('\n'),
    keys.map(key => names[ownerOf(ring, key)]),
  )
  t.equal(status, 0)
})

t.test('an invalid server is refused in one line', async t => {
  const { stderr, status } = ask(['not a server'], 'a\n')
  t.match(stderr, /^memslab ring: not a server: not a server\n$/)
  t.equal(status, 64)
  const bare = ask([], '')
  t.match(bare.stderr, /^usage: memslab ring/)
  t.equal(bare.status, 64)
  t.equal(ask(['--help'], '').status, 0)
})
