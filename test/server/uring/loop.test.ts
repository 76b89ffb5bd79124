// The loop of a thread with a uring, in the thread of this test. Needs what a uring needs.

import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { REPLY_BYTES } from '../../../lib/protocol/limits.ts'
import { Reply } from '../../../lib/protocol/reply.ts'
import { loadNative, type Native } from '../../../lib/server/native/libc.ts'
import { POLLOUT } from '../../../lib/server/uring/layout.ts'
import {
  Purpose,
  type ReplyBuffer,
  URING_REPLY_BYTES_MAX,
  UringLoop,
} from '../../../lib/server/uring/loop.ts'
import { URING_SUBMISSIONS } from '../../../lib/server/uring/uring.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)
const native = loadNative()
const skip = canOpen() ? false : 'no io_uring here'

t.test('replies on their way keep their bytes, and few buffers', { skip }, async t => {
  const { loop, reply } = open(t)
  const random = createRandom(seed, 1)
  const underWay: { replies: ReplyBuffer; start: number; bytes: number; mark: number }[] = []
  const areas = new Set<unknown>()
  let bytes = 0
  let bytesMax = 0
  for (let step = 0; step < 5000; step++) {
    // Something is always on its way, as in a thread with many peers.
    if (underWay.length < 2 || random.below(100) < 50 - underWay.length) {
      const length = random.between(1, REPLY_BYTES / 4)
      const { start } = reply
      reply.area.bytes.fill(step & 0xff, start, start + length)
      reply.length += length
      const replies = loop.dispatch()
      areas.add(replies.area)
      underWay.push({ replies, start, bytes: length, mark: step & 0xff })
      bytes += length
    } else {
      const [gone] = underWay.splice(random.below(underWay.length), 1)
      const { replies, start, mark } = gone
      const sent = replies.area.bytes.subarray(start, start + gone.bytes)
      if (!sent.every(byte => byte === mark)) t.fail(`overwritten at step ${step}`)
      loop.arrived(replies)
      bytes -= gone.bytes
    }
    bytesMax = Math.max(bytesMax, bytes)
  }
  const needed = Math.ceil(bytesMax / (URING_REPLY_BYTES_MAX - REPLY_BYTES))
  t.ok(areas.size < 10 * needed, `${areas.size} buffers for ${bytesMax} bytes at once`)
})

t.test('timers have their turn, however much there is to tell', { skip }, async t => {
  const { loop } = open(t)
  const toldMax = 1_000_000
  let told = 0
  let isOver = false
  // Each is done as soon as it is asked for, more at once than the uring has places for.
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

function open(t: Test) {
  const reply = new Reply()
  const loop = new UringLoop(native as Native, reply)
  t.teardown(() => loop.close())
  return { loop, reply }
}

function canOpen(): boolean {
  const loop = native === undefined ? null : UringLoop.open(new Reply())
  loop?.close()
  return loop !== null
}
