// The loop of a thread with a uring, in the thread of this test. Needs io_uring.

import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Reply } from '../../../lib/protocol/reply.ts'
import { loadNative, type Native } from '../../../lib/server/native/libc.ts'
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

function open(t: Test): UringLoop {
  const loop = new UringLoop(native as Native, new Reply())
  t.teardown(() => loop.close())
  return loop
}

function canOpen(): boolean {
  const loop = native === undefined ? null : UringLoop.open(new Reply())
  loop?.close()
  return loop !== null
}
