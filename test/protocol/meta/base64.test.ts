// Base64 keys: encoding inverts decoding, and odd input is read as memcached reads it.

import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { decodeBase64, encodeBase64 } from '../../../lib/protocol/meta/base64.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)
const room = Area.allocate(1000)

function decode(text: string): string {
  const bytes = Buffer.from(`..${text}==`, 'latin1')
  const length = decodeBase64(bytes, 2, bytes.length - 2, room)
  return room.bytes.toString('latin1', 0, length)
}

t.test('decoding inverts encoding at any length', async t => {
  const random = createRandom(seed)
  for (let length = 1; length <= 187; length++) {
    const area = new Area(Buffer.from(Array.from({ length: length + 3 }, () => random.below(256))))
    const wanted = area.bytes.toString('base64', 3)
    const out = Buffer.alloc(300)
    const end = encodeBase64(area, 3, length, out, 7)
    t.equal(out.toString('latin1', 7, end), wanted)
    t.equal(decode(wanted), area.bytes.toString('latin1', 3))
  }
})

t.test('odd input is read as memcached reads it', async t => {
  const cases: [text: string, decoded: string][] = [
    ['', ''],
    ['=', ''],
    ['====', ''],
    ['a', ''],
    ['aw', ''],
    ['aw=', ''],
    ['a===', ''],
    ['aw==', 'k'],
    ['aw==aw==', 'k'],
    ['a-w.=\xff=', 'k'],
    ['aGVs bG8=', 'hello'],
    ['aGVsbG8', ''],
    ['----', ''],
    ['=w==', ''],
    ['aw==a', ''],
  ]
  for (const [text, wanted] of cases) t.equal(decode(text), wanted, JSON.stringify(text))
})
