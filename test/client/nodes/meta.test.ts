// The parser of meta replies, with replies cut anywhere.

import t from 'tap'
import { ITEM_BYTES_MAX } from '../../../lib/bytes/memcached.ts'
import { MIB } from '../../../lib/bytes/units.ts'
import { flagOf, type Reply, ReplyReader } from '../../../lib/client/nodes/meta.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)

const STREAM = Buffer.from(
  'HD\r\nVA 5 f0 t-1 c17 kuser:1\r\nhello\r\nEN\r\nVA 0 f7\r\n\r\nVA 4 f0\r\n\r\n\r\n\r\nNS\r\n' +
    'VERSION 1.6.45\r\nSERVER_ERROR out of memory\r\nMN\r\n',
  'latin1',
)

function readAll(pieces: Buffer[]): Reply[] {
  const reader = new ReplyReader()
  const replies: Reply[] = []
  for (const piece of pieces) reader.read(piece, reply => replies.push(reply))
  return replies
}

const whole = readAll([STREAM])

t.test('lines and values', async t => {
  t.strictSame(
    whole.map(({ word }) => word),
    ['HD', 'VA', 'EN', 'VA', 'VA', 'NS', 'VERSION', 'SERVER_ERROR', 'MN'],
  )
  t.equal(whole[1].value?.toString(), 'hello')
  t.equal(flagOf(whole[1], 'c'), '17')
  t.equal(flagOf(whole[1], 'k'), 'user:1')
  t.equal(flagOf(whole[1], 's'), undefined)
  t.equal(whole[3].value?.length, 0)
  t.equal(whole[4].value?.toString(), '\r\n\r\n', 'a value of line ends')
  t.strictSame(whole[7].tokens, ['out', 'of', 'memory'])
})

t.test('cut at every byte, and in random pieces', async t => {
  for (let cut = 1; cut < STREAM.length; cut++) {
    const replies = readAll([STREAM.subarray(0, cut), STREAM.subarray(cut)])
    if (JSON.stringify(replies) !== JSON.stringify(whole)) t.fail(`cut at ${cut}`)
  }
  const random = createRandom(seed)
  for (let round = 0; round < 200; round++) {
    const pieces: Buffer[] = []
    for (let at = 0; at < STREAM.length; ) {
      const length = random.between(1, 9)
      pieces.push(STREAM.subarray(at, at + length))
      at += length
    }
    if (JSON.stringify(readAll(pieces)) !== JSON.stringify(whole)) t.fail(`round ${round}`)
  }
})

t.test('long values in pieces, one after the other', async t => {
  const random = createRandom(seed)
  const values = [40, 1, 17].map(mib => Buffer.alloc(mib * MIB + 3, `of ${mib}`))
  const stream = Buffer.concat(
    values.flatMap(value => [Buffer.from(`VA ${value.length} f0\r\n`), value, Buffer.from('\r\n')]),
  )
  const pieces: Buffer[] = []
  for (let at = 0; at < stream.length; ) {
    const length = random.once(2) ? random.between(1, 100) : random.between(100, MIB)
    pieces.push(stream.subarray(at, at + length))
    at += length
  }
  const replies = readAll(pieces)
  t.strictSame(
    replies.map(({ value }, i) => value?.equals(values[i])),
    [true, true, true],
  )
})

t.test('a value without its end is refused, wherever it is cut', async t => {
  const text = Buffer.from('VA 3 f0\r\nabcd\r\n')
  for (let cut = 0; cut < text.length; cut++) {
    t.throws(() => readAll([text.subarray(0, cut), text.subarray(cut)]), /without an end/)
  }
})

t.test('anything but a reply is refused', async t => {
  for (const text of ['hello\r\n', '\r\n', 'VA x\r\n', '<html>\r\n', 'x'.repeat(10_000)]) {
    t.throws(() => readAll([Buffer.from(text)]), Error, text.slice(0, 10))
  }
})

t.test('a value has a length that an item can have', async t => {
  for (const length of ['-5', '', '1e3', '0x10', '1.5', String(ITEM_BYTES_MAX + 1)]) {
    t.throws(() => readAll([Buffer.from(`VA ${length} f0\r\n`)]), Error, length)
  }
  t.strictSame(readAll([Buffer.from(`VA ${ITEM_BYTES_MAX} f0\r\n`)]), [], 'the longest')
})
