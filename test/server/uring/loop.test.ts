// The loop of a thread with a uring, in the thread of this test. Needs io_uring.

import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Reply } from '../../../lib/protocol/reply.ts'
import { loadNative, type Native } from '../../../lib/server/native/libc.ts'
import { Turns } from '../../../lib/server/turns.ts'
import { POLLOUT } from '../../../lib/server/uring/layout.ts'
import { Purpose, UringLoop } from '../../../lib/server/uring/loop.ts'
import { URING_SUBMISSIONS } from '../../../lib/server/uring/uring.ts'

const native = loadNative()
const skip = canOpen() ? false : 'no io_uring here'

t.test('timers run, however many completions there are', { skip }, async t => {
  const loop = open(t)
  const toldMax = 1_000_000
  let told = 0
  let isOver = false
  // Each completes at once, and there are more of them than the uring has entries.
  const descriptor = openSync(fileURLToPath(import.meta.url), 'r')
  t.teardown(() => closeSync(descriptor))
  const ask = () => loop.uring.poll(descriptor, POLLOUT, number | Purpose.SEND)
  const again = () => {
    if (++told < toldMax && !isOver) ask()
  }
  const number = loop.join({ received: again, sendDone: again })
  for (let i = 0; i < 4 * URING_SUBMISSIONS; i++) ask()
  await sleep(20)
  isOver = true
  t.ok(told >= 4 * URING_SUBMISSIONS, 'it was busy')
  t.ok(told < toldMax, `${told} times`)
})

t.test('turns without end keep neither timers nor completions waiting', { skip }, async t => {
  const turns = new Turns()
  const loop = open(t, turns)
  const descriptor = openSync(fileURLToPath(import.meta.url), 'r')
  t.teardown(() => closeSync(descriptor))
  const counts = { turns: 0, turnsMax: 1_000_000, told: 0 }
  const goOn = () => {
    if (counts.told < 3 && ++counts.turns < counts.turnsMax) turns.add(goOn)
  }
  turns.add(goOn)
  while (counts.turns < 2) await sleep(1)
  t.ok(counts.turns < counts.turnsMax, `${counts.turns} turns, and timers in between`)
  const told = () => {
    if (++counts.told < 3) ask()
  }
  const number = loop.join({ received: told, sendDone: told })
  const ask = () => loop.uring.poll(descriptor, POLLOUT, number | Purpose.SEND)
  ask()
  while (!turns.isEmpty) await sleep(1)
  t.equal(counts.told, 3)
  t.ok(counts.turns < counts.turnsMax, `${counts.turns} turns`)
})

function open(t: Test, turns = new Turns()): UringLoop {
  const loop = new UringLoop(native as Native, new Reply(), turns)
  t.teardown(() => loop.close())
  return loop
}

function canOpen(): boolean {
  const loop = native === undefined ? null : UringLoop.open(new Reply(), new Turns())
  loop?.close()
  return loop !== null
}
