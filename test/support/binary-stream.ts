/**
 * Random streams of binary frames for one session, and such streams with changed bytes. Values are
 * empty to many reply buffers long. Nothing ends the conversation: only tests that want it add
 * quits and frames of the wrong form.
 */
import { countExtras, frame, Op, touch, u32 } from './binary-frames.ts'
import type { Random } from './prng.ts'
import { LARGE, SIZES, type StreamOptions } from './server-stream.ts'

const KEYS = ['a', 'b', 'c', 'K'.repeat(250), 'none', 'long', 'longer']
const STORES = [Op.SET, Op.SET, Op.SET, Op.SETQ, Op.ADD, Op.ADDQ, Op.REPLACE, Op.REPLACEQ]
const JOINS = [Op.APPEND, Op.APPENDQ, Op.PREPEND, Op.PREPENDQ]
const GETS = [Op.GET, Op.GETQ, Op.GETK, Op.GETKQ]
const TOUCHES = [Op.TOUCH, Op.GAT, Op.GATQ, Op.GATK, Op.GATKQ]
const COUNTS = [Op.INCR, Op.INCRQ, Op.DECR, Op.DECRQ]
const REPORTS = ['settings', 'sizes', 'none']
/** Longer than the largest value of a cache with the default limit. */
const TOO_LARGE_BYTES = 1_200_000

export function randomFrames(random: Random, { valueBytesMax, commands }: StreamOptions): Buffer {
  const sizes = [...SIZES, ...LARGE].filter(size => size <= valueBytesMax)
  const parts = Array.from({ length: commands }, () => randomFrame(random, sizes, valueBytesMax))
  return Buffer.from(parts.join(''), 'latin1')
}

function randomFrame(random: Random, sizes: number[], valueBytesMax: number): string {
  const key = random.pick(KEYS)
  const opaque = random.below(2 ** 32)
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      return Array.from({ length: random.between(1, 12) }, () =>
        frame(random.pick(GETS), { key: random.pick(KEYS), opaque }),
      ).join('')
    case 3:
    case 4:
    case 5:
      return storing(random, random.pick(STORES), key, random.pick(sizes))
    case 6:
      return frame(random.pick(JOINS), { key, value: bytesFor(random, random.pick(sizes)), opaque })
    case 7:
      return frame(random.pick(COUNTS), {
        extras: countExtras(BigInt(random.below(1000)), 5n, 0),
        key: 'counter',
        opaque,
      })
    case 8:
      return touch(random.pick(TOUCHES), key, 100, { opaque })
    case 9:
      return frame(Op.STAT, { key: random.pick(REPORTS), opaque })
    case 10:
      if (valueBytesMax < TOO_LARGE_BYTES || !random.once(15)) return frame(Op.NOOP, { opaque })
      return storing(random, random.pick(STORES), key, TOO_LARGE_BYTES)
    default:
      return random.pick([
        frame(Op.NOOP, { opaque }),
        frame(Op.VERSION, { opaque }),
        frame(Op.FLUSHQ, { opaque }),
        frame(random.pick([Op.DELETE, Op.DELETEQ]), { key, opaque }),
        frame(0x1b, { opaque }),
        frame(Op.SASL_AUTH, { key: 'PLAIN', value: bytesFor(random, random.below(6000)), opaque }),
      ])
  }
}

function storing(random: Random, opcode: number, key: string, valueBytes: number): string {
  const extras = u32(random.pick([0, 0, 7, 0xffffffff])) + u32(0)
  const cas = random.once(6) ? BigInt(random.between(1, 20)) : 0n
  return frame(opcode, { extras, key, value: bytesFor(random, valueBytes), cas })
}

/** Bytes that differ from themselves at every shift, or bytes that look like frames. */
function bytesFor(random: Random, valueBytes: number): string {
  const words = random.pick(['0123456789abcdefghi', frame(Op.QUIT), frame(Op.GET, { key: 'a' })])
  return words.repeat(Math.ceil(valueBytes / words.length)).slice(0, valueBytes)
}

/** Frames with some bytes changed, most of them in headers; or plain garbage. */
export function randomGarbage(random: Random, frames: number): Buffer {
  if (random.once(4))
    return Buffer.from(Array.from({ length: frames * 20 }, () => random.below(256)))
  const stream = randomFrames(random, { valueBytesMax: 5000, commands: frames })
  const changes = random.between(1, 6)
  for (let i = 0; i < changes; i++) {
    const at = stream.indexOf(0x80, random.below(stream.length))
    const where = at < 0 ? random.below(stream.length) : at + random.below(24)
    if (where < stream.length)
      stream[where] = random.pick([0, 1, 2, 127, 128, 255, random.below(256)])
  }
  return stream
}
