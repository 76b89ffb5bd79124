// Dumps of several threads take turns.

import t from 'tap'
import { allClasses } from '../../../lib/engine/items/walk.ts'
import { Dump, MG_DUMP } from '../../../lib/protocol/control/dump.ts'
import { Control } from '../../../lib/protocol/host.ts'
import { createHost, Peer } from '../../support/server-session.ts'

t.test('a dump waits while another thread is in a step, but not for a dead one', async t => {
  const host = createHost()
  const peer = new Peer(host)
  // More than one step has room for.
  const keys = Array.from({ length: 2000 }, (_, i) => `key${i}`)
  for (const key of keys) peer.feed(Buffer.from(`set ${key} 0 0 1\r\n1\r\n`))
  const dump = new Dump(host, allClasses(), MG_DUMP)
  let nowMs = 1_800_000_000_000
  t.intercept(Date, 'now', { value: () => nowMs })
  const other = new Dump({ cache: host.cache, control: host.control }, allClasses(), MG_DUMP)
  const inStep = () => {
    // What another thread does meanwhile.
    t.equal(other.next()?.length, 0, 'it gets nothing')
    t.ok(other.pauseMs > 0, 'and waits')
  }
  const walk = host.cache.shards[0].walk
  t.intercept(host.cache.shards[0], 'walk', {
    value: (...args: Parameters<typeof walk>) => {
      inStep()
      return walk.apply(host.cache.shards[0], args)
    },
  })
  const first = `${dump.next()}`
  t.match(first, /^mg key\d+\r\n/)
  t.equal(dump.pauseMs, 0)
  t.equal(host.control[Control.DUMPING], 0, 'the step is over')
  host.control[Control.DUMPING] = (nowMs & 0x7fffffff) | 1
  t.equal(dump.next()?.length, 0)
  nowMs += 5000
  const rest: string[] = []
  for (let piece = dump.next(); piece !== null; piece = dump.next()) rest.push(`${piece}`)
  const rows = (first + rest.join('')).split('\r\n')
  t.same(rows.slice(-2), ['EN', ''])
  t.same(new Set(rows.slice(0, -2)), new Set(keys.map(key => `mg ${key}`)))
})
