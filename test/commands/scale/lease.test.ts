// The seat of the scaler that acts, in a real etcd.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { LeaseSeat } from '../../../lib/commands/scale/acting/lease.ts'
import { EtcdGateway } from '../../../lib/etcd/gateway.ts'
import { startEtcd } from '../../support/etcd.ts'
import { skipWithout } from '../../support/oracle.ts'
import { comesTrue } from '../../support/server-peer.ts'

const skip = skipWithout('etcd')
const WAIT_MS = 60_000
const TTL_MS = 2000
const KEY = '/scale/leader'

function seatOf(t: Test, url: string, name: string) {
  const lines: string[] = []
  const options = { key: KEY, name, ttlMs: TTL_MS }
  const seat = new LeaseSeat(new EtcdGateway([url]), options, line => lines.push(line))
  t.teardown(() => seat.close())
  return { seat, lines, acts: () => seat.term() !== null }
}

t.test('one holds the seat, the next one takes it', { skip }, async t => {
  const { url } = await startEtcd(t)
  const first = seatOf(t, url, 'first')
  t.ok(await comesTrue(first.acts, WAIT_MS))
  const others = ['second', 'third'].map(name => seatOf(t, url, name))
  t.ok(await comesTrue(() => others.every(({ lines }) => lines.length > 0), WAIT_MS))
  t.strictSame(
    others.map(({ lines }) => lines),
    [['standing by: first acts'], ['standing by: first acts']],
  )
  const term = first.seat.term()
  await first.seat.close()
  t.equal(term?.aborted, true, 'its work ends')
  t.equal(first.seat.term(), null)
  t.ok(await comesTrue(() => others.some(({ acts }) => acts()), WAIT_MS))
  await sleep(2 * TTL_MS)
  t.equal(others.filter(({ acts }) => acts()).length, 1)
})

t.test('never two at the same time, while seats are lost and etcd dies', { skip }, async t => {
  const etcd = await startEtcd(t)
  const seats = ['a', 'b', 'c'].map(name => seatOf(t, etcd.url, name))
  let twice = 0
  const watching = setInterval(() => {
    if (seats.filter(({ acts }) => acts()).length > 1) twice++
  }, 5)
  t.teardown(() => clearInterval(watching))
  const gateway = new EtcdGateway([etcd.url])
  const held = () => seats.some(({ acts }) => acts())
  for (let round = 0; round < 2; round++) {
    t.ok(await comesTrue(held, WAIT_MS), 'somebody acts')
    // The event loop stands still for longer than the lease lasts.
    const untilMs = performance.now() + 1.5 * TTL_MS
    while (performance.now() < untilMs) {}
    t.notOk(held(), 'nobody trusts a lease that is over')
    t.ok(await comesTrue(held, WAIT_MS))
    const lease = (await gateway.read(KEY))?.lease ?? ''
    await gateway.revoke(lease)
    t.ok(await comesTrue(() => seats.some(({ lines }) => /not acting/.test(lines.join())), WAIT_MS))
    t.ok(await comesTrue(held, WAIT_MS))
    await etcd.kill()
    t.ok(await comesTrue(() => !held(), WAIT_MS), 'without etcd nobody acts')
    await etcd.restart()
  }
  t.ok(await comesTrue(held, WAIT_MS))
  t.equal(twice, 0)
})
