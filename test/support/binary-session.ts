/**
 * Random sessions of the binary protocol: few keys, so that commands meet on them, loud and quiet
 * commands in a row, CAS numbers that are right, old or wrong. A broken frame closes the
 * connection, so a session has at most one.
 *
 * Left out for the reasons told in text-session.ts: times that pass, delayed flushes, appending to
 * numbers, numbers of 2^63 and more. Lengths that are negative as signed numbers are left out too:
 * memcached throws away what an earlier connection still had to.
 */
import { countExtras, frame, keyTag, lastCas, Op, type Parts, touch, u32 } from './binary-frames.ts'
import type { Random } from './prng.ts'
import type { Command } from './random-runs.ts'
import { largeValue, randomValue } from './text-session.ts'

// Two kinds of keys, one for numbers and one for append and prepend: see text-session.ts.
const COUNTER_KEYS = ['n1', 'n2', 'n3', 'N'.repeat(250)]
const TEXT_KEYS = ['k1', 'k2', 'k3', '\x80\x00\r\n \xff', 'K'.repeat(250)]
const KEYS = [...COUNTER_KEYS, ...TEXT_KEYS]

const EXPTIMES = [0, 0, 0, 0, 1000, 2_592_000, 4_000_000_000, 0xffffffff, 100_000_000]
const FLAGS = [0, 0, 0, 1, 0xffffffff, 42]
// Sums of these stay below 2^63: memcached reads beyond the end of a larger number.
const DELTAS = [0n, 1n, 1n, 5n, 99n, 2n ** 32n, 2n ** 53n]
const INITIAL_EXPTIMES = [0, 0, 1000, 0xffffffff, 0xffffffff, 100_000_000]
const STORES = [Op.SET, Op.SET, Op.SETQ, Op.SETQ, Op.ADD, Op.ADDQ, Op.REPLACE, Op.REPLACEQ]
const JOINS = [Op.APPEND, Op.APPENDQ, Op.PREPEND, Op.PREPENDQ]
const GETS = [Op.GET, Op.GET, Op.GETQ, Op.GETQ, Op.GETK, Op.GETKQ]
const TOUCHES = [Op.TOUCH, Op.GAT, Op.GATQ, Op.GATK, Op.GATKQ]
const COUNTS = [Op.INCR, Op.INCRQ, Op.DECR, Op.DECRQ]
const UNKNOWN = [Op.VERBOSITY, 0x1f, 0x25, 0x30, 0x3d, 0x80, 0xff]
const TOO_LARGE = 'L'.repeat(1_048_577)
/** Follows a broken frame: however much of it is consumed, the rest has no magic byte. */
const JUNK = 'junk'.repeat(30)

/** A session on keys that do not exist. */
export function randomSession(random: Random, commandCount: number): Command[] {
  const commands = Array.from({ length: commandCount }, () => randomCommand(random))
  if (random.once(3)) commands.push(brokenCommand(random))
  return commands
}

export function deleteAllKeys(): string {
  return frame(Op.FLUSH) + KEYS.map(key => frame(Op.DELETEQ, { key })).join('')
}

function randomCommand(random: Random): Command {
  const key = random.pick(KEYS)
  const kind = random.below(100)
  if (kind < 28) return frame(random.pick(GETS), about(random, key))
  if (kind < 56) return storing(random, key, randomValue(random))
  if (kind < 64) return joining(random, randomValue(random))
  if (kind < 78) return counting(random)
  if (kind < 84) {
    return frame(random.pick([Op.DELETE, Op.DELETEQ]), {
      ...about(random, key),
      cas: cas(random, key),
    })
  }
  if (kind < 92) return touch(random.pick(TOUCHES), key, random.pick(EXPTIMES), about(random, key))
  if (kind < 95) return pipelined(random)
  return rareCommand(random, key)
}

/** Quiet gets and a loud command at the end, as clients get many keys. */
function pipelined(random: Random): Command {
  const gets = Array.from({ length: random.between(2, 60) }, () => {
    const key = random.pick(KEYS)
    return frame(random.pick([Op.GETQ, Op.GETKQ]), about(random, key))
  })
  return gets.join('') + frame(Op.NOOP, { opaque: random.below(2 ** 31) })
}

function rareCommand(random: Random, key: string): Command {
  const kind = random.below(100)
  if (kind < 25) return frame(Op.NOOP, { opaque: random.below(2 ** 31) })
  if (kind < 40) return frame(Op.VERSION)
  if (kind < 50) return frame(random.pick(UNKNOWN), { opaque: random.below(2 ** 31) })
  if (kind < 60)
    return frame(random.pick([Op.SASL_AUTH, Op.SASL_STEP]), {
      key,
      value: 'x'.repeat(random.below(40)),
    })
  if (kind < 65) return frame(Op.SASL_LIST)
  if (kind < 75) return frame(Op.STAT, { key: random.pick(['none', 'conns', 'x'.repeat(250)]) })
  if (kind < 93) {
    const extras = random.pick(['', u32(0)])
    return frame(random.pick([Op.FLUSH, Op.FLUSHQ]), { extras })
  }
  if (kind < 98) return storing(random, key, largeValue(random))
  return storing(random, key, TOO_LARGE)
}

/** A frame that closes the connection: it has the wrong form or consumes what follows it. */
function brokenCommand(random: Random): Command {
  const key = random.pick(KEYS)
  const extras = '\0'.repeat(random.pick([1, 3, 4, 8, 19, 20, 24, 255]))
  switch (random.below(9)) {
    case 0:
      return frame(random.pick([Op.QUIT, Op.QUITQ]))
    case 1:
      return frame(random.pick(GETS), { key: 'K'.repeat(random.between(251, 2000)) })
    case 2:
      return (
        frame(random.pick([...GETS, ...STORES, ...JOINS, Op.DELETE]), {
          key,
          extras: `${extras}\0`,
        }) + JUNK
      )
    case 3:
      return frame(random.below(0x25), {
        key,
        extras,
        bodyBytes: random.below(key.length + extras.length),
      })
    case 4:
      return frame(random.pick([...STORES, ...JOINS, ...COUNTS, ...TOUCHES, ...GETS]))
    case 5:
      return (
        frame(random.pick(UNKNOWN), { key, value: 'v'.repeat(random.below(20)) }) + JUNK.repeat(3)
      )
    case 6:
      return frame(Op.GET, { key, magic: random.pick([0, 0x81, 0x7f, 0xff]) }) + JUNK
    case 7:
      return touch(random.pick(TOUCHES), key, 0, { value: 'v' }) + JUNK
    default:
      return `get k1\r\n${JUNK}`
  }
}

function storing(random: Random, key: string, value: string): Command {
  const extras = u32(random.pick(FLAGS)) + u32(random.pick(EXPTIMES))
  const parts = { ...about(random, key), extras, value, cas: cas(random, key) }
  return frame(random.pick(STORES), parts)
}

function joining(random: Random, value: string): Command {
  const key = random.pick(TEXT_KEYS)
  return frame(random.pick(JOINS), { ...about(random, key), value, cas: cas(random, key) })
}

function counting(random: Random): Command {
  const key = random.pick(COUNTER_KEYS)
  const parts = { ...about(random, key), cas: cas(random, key) }
  const exptime = random.pick(INITIAL_EXPTIMES)
  const opcode = random.pick(COUNTS)
  const extras = countExtras(random.pick(DELTAS), random.pick(DELTAS), exptime)
  return frame(opcode, { extras, key, ...parts })
}

/** The key, and an opaque that is unique to this request and identifies the key. */
function about(random: Random, key: string): Parts {
  return {
    key,
    opaque: ((random.below(2 ** 20) << 12) | keyTag(key)) >>> 0,
    dataType: random.below(2),
  }
}

function cas(random: Random, key: string): bigint | string {
  if (!random.once(4)) return 0n
  return random.once(4) ? random.pick([2n ** 40n, 2n ** 64n - 1n]) : lastCas(key)
}
