// Short attacks. `npm run test:abuse -- --help` has the options of longer ones.

import t from 'tap'
import { Watch } from '../../scripts/abuse/attack.ts'
import { ATTACKS, attackOf } from '../../scripts/abuse/attacks/index.ts'
import { Neighbour } from '../../scripts/abuse/neighbour.ts'
import { runAttack } from '../../scripts/abuse/run.ts'
import { memslabCommand } from '../../scripts/bench/servers.ts'
import { runs, SKIP_UNLESS_ALL } from '../support/runs.ts'
import { startScripted } from '../support/scripted-server.ts'
import { comesTrue } from '../support/server-peer.ts'

const SERVER = { name: 'memslab', command: memslabCommand(), threads: 2, memoryMib: 64 }
const SECONDS = runs(1, 3)

t.test('a neighbour gets its values beside an attack', async t => {
  const { seen, faults } = await runAttack(attackOf('hits, 5 peers'), SERVER, SECONDS)
  t.strictSame(faults, [])
  t.ok(seen.requests.total > 0 && seen.connects.total > 0)
})

t.test('a neighbour beside every attack', { skip: SKIP_UNLESS_ALL }, async t => {
  for (const attack of ATTACKS) {
    const { seen, faults } = await runAttack(attack, SERVER, SECONDS)
    t.strictSame(faults, [], attack.name)
    t.ok(seen.requests.total > 0, attack.name)
  }
})

const ANSWERS: Record<string, string> = { mn: 'MN\r\n', set: 'STORED\r\n' }

t.test('a neighbour notices a wrong value', async t => {
  const server = await startScripted(t, line => {
    const [verb, key] = line.split(' ')
    return verb === 'get' ? `VALUE ${key} 0 3\r\nbad\r\nEND\r\n` : ANSWERS[verb]
  })
  const neighbour = new Neighbour(server.port, false)
  const { run } = await neighbour.open()
  t.ok(await comesTrue(() => neighbour.seen.wrong > 0))
  t.match(neighbour.seen.reason, 'bad')
  neighbour.end()
  await run
})

t.test('a neighbour notices a lost connection, and an attack a lost peer', async t => {
  const server = await startScripted(t, (line, socket) => {
    if (line.startsWith('get')) socket.destroy()
    return ANSWERS[line.split(' ')[0]]
  })
  const neighbour = new Neighbour(server.port, false)
  const { run } = await neighbour.open()
  t.ok(await comesTrue(() => neighbour.seen.wrong > 0))
  neighbour.end()
  await run
  const watch = new Watch()
  await attackOf('hits, 5 peers').start({ port: server.port, tlsPort: 0, udpPort: 0 }, watch)
  t.ok(await comesTrue(() => watch.lost === 5), watch.reason)
})
