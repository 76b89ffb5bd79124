// The reply buffers of a thread: bytes being sent do not change, and few buffers are enough.

import t from 'tap'
import { REPLY_BYTES } from '../../../lib/protocol/limits.ts'
import { Reply } from '../../../lib/protocol/reply.ts'
import { REPLY_ROOM_BYTES, Replies, type ReplyBuffer } from '../../../lib/server/line/replies.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)
const SPARES = { 1: 64, 2: 4 } as const

/** Rooms of a thread with a uring, and of one without. */
for (const rooms of [2, 1] as const) {
  t.test(`replies that are being sent keep their bytes (${rooms} a buffer)`, async t => {
    const bufferBytes = rooms * REPLY_ROOM_BYTES
    const reply = new Reply()
    const replies = new Replies(reply, bufferBytes, SPARES[rooms])
    const random = createRandom(seed, rooms)
    const underWay: { buffer: ReplyBuffer; start: number; bytes: number; mark: number }[] = []
    const areas = new Set<unknown>()
    let bytes = 0
    let bytesMax = 0
    let countMax = 0
    for (let step = 0; step < 5000; step++) {
      // A reply is always being sent, as in a thread with many peers.
      if (underWay.length < 2 || random.below(100) < 50 - underWay.length) {
        const length = random.between(1, REPLY_BYTES / 4)
        const { start } = reply
        const mark = step & 0xff
        if (reply.room() !== REPLY_BYTES) t.fail(`${reply.room()} bytes of room`)
        reply.area.bytes.fill(mark, start, start + length)
        reply.length += length
        const { current } = replies
        // Some lines send everything at once, and keep nothing.
        if (!random.once(3)) {
          replies.keep(current, start + length)
          areas.add(current.area)
          underWay.push({ buffer: current, start, bytes: length, mark })
          bytes += length
        }
        replies.clear()
        if (reply.length !== reply.start) t.fail('the next reply begins with another')
      } else {
        const [{ buffer, start, bytes: length, mark }] = underWay.splice(
          random.below(underWay.length),
          1,
        )
        const sent = buffer.area.bytes.subarray(start, start + length)
        if (!sent.every(byte => byte === mark)) t.fail(`overwritten at step ${step}`)
        replies.release(buffer)
        bytes -= length
      }
      bytesMax = Math.max(bytesMax, bytes)
      countMax = Math.max(countMax, underWay.length)
    }
    const needed = rooms === 1 ? countMax + 1 : 10 * Math.ceil(bytesMax / REPLY_BYTES)
    t.ok(areas.size <= needed, `${areas.size} buffers for ${bytesMax} bytes at once`)
  })
}

t.test('a buffer is used from its start again once everything in it is sent', async t => {
  const reply = new Reply()
  const replies = new Replies(reply, 2 * REPLY_ROOM_BYTES, 1)
  const { current } = replies
  for (const end of [10, 30]) {
    reply.length = end
    replies.keep(current, end)
    t.equal(reply.start, end)
    t.equal(reply.limit, end + REPLY_BYTES)
  }
  replies.release(current)
  t.equal(reply.start, 30)
  replies.release(current)
  t.equal(reply.start, 0)
  t.equal(replies.current, current)
})
