/**
 * The binary protocol with options that change its responses, and over real seconds: the same
 * frames to memcached and to memslab, both started with the same arguments.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  BINARY,
  count,
  countExtras,
  frame,
  Op,
  store,
  touch,
  u32,
} from '../support/binary-frames.ts'
import { compare, type Difference, describe, startPair } from '../support/differential.ts'
import { skipWithout } from '../support/oracle.ts'
import { onTime } from '../support/timetable.ts'

const skip = skipWithout('memcached')
const FIRST_LOOK_MS = 2_400
const LAST_LOOK_MS = 5_600

const GET = frame(Op.GET, { key: 'k' })
const NOOP = frame(Op.NOOP)
const ONE = store(Op.SET, 'k', '1')
const FLUSHES = [
  ONE + frame(Op.FLUSH) + GET + frame(Op.FLUSHQ) + frame(Op.FLUSH, { extras: u32(0) }) + GET,
  frame(Op.FLUSH, { extras: 'abc' }) + NOOP,
]
const CAS_STEPS = [
  ONE + GET + store(Op.SET, 'k', '2', { cas: 1n }) + store(Op.ADD, 'none', '2', { cas: 1n }),
  frame(Op.APPEND, { key: 'k', value: '3', cas: 1n }) +
    frame(Op.INCR, { extras: countExtras(1n, 0n, 0), key: 'k', cas: 1n }),
  count(Op.INCR, 'n', 1n, 7n, 0) +
    touch(Op.GATK, 'k', 0) +
    frame(Op.DELETE, { key: 'k', cas: 1n }) +
    GET,
]
const LENGTHS = [1_048_576, 1_500_000, 2_097_000, 2_097_152, 2_200_000]
const SIZED = LENGTHS.flatMap(length => [
  ONE + store(Op.SET, 'k', 'v'.repeat(length)) + GET,
  ONE +
    store(Op.ADDQ, 'a', 'v'.repeat(length)) +
    frame(Op.APPEND, { key: 'k', value: 'v'.repeat(length) }) +
    GET,
])

const CASES: [args: string[], steps: string[]][] = [
  [['-F'], FLUSHES],
  [['-C'], CAS_STEPS],
  [['-I', '2m'], SIZED],
  [
    ['-B', 'binary'],
    [ONE + GET, 'version\r\n'.repeat(10)],
  ],
]

for (const [args, steps] of CASES) {
  t.test(`with ${args.join(' ')}`, { skip }, async t => {
    const pair = await startPair(t, args)
    // Text is not answered where only frames are spoken: no mark would be, either.
    const how = { dialect: BINARY, closeLosesReplies: true, raw: args.includes('-B') }
    for (const step of steps) {
      const found = await compare(pair, { ...how, steps: [step] })
      t.equal(found === undefined ? undefined : describe(found), undefined, 'the same responses')
    }
  })
}

t.test('with -B ascii there are no frames', { skip }, async t => {
  const pair = await startPair(t, ['-B', 'ascii'])
  for (const step of [`${GET}\r\nversion\r\n`, 'version\r\n', `${'\x80'.repeat(3000)}`]) {
    const found = await compare(pair, { steps: [step], closeLosesReplies: true })
    t.equal(found === undefined ? undefined : describe(found), undefined)
  }
})

const TIMELINES: Record<string, (key: string) => string> = {
  set: key => store(Op.SET, key, '1', { extras: u32(0) + u32(2) }),
  'a later set': key => store(Op.SETQ, key, '1', { extras: u32(0) + u32(4) }),
  touch: key => store(Op.SET, key, '1') + touch(Op.TOUCH, key, 2),
  gat: key => store(Op.SET, key, '1') + touch(Op.GAT, key, 2),
  gatkq: key => store(Op.SET, key, '1', { extras: u32(0) + u32(2) }) + touch(Op.GATKQ, key, 100),
  'a number made': key => count(Op.INCR, key, 1n, 5n, 2),
  'a number counted': key => count(Op.INCR, key, 1n, 5n, 2) + count(Op.INCR, key, 1n, 5n, 100),
  append: key =>
    store(Op.SET, key, '1', { extras: u32(0) + u32(2) }) + frame(Op.APPEND, { key, value: '2' }),
  'a date ahead': key =>
    store(Op.SET, key, '1', { extras: u32(0) + u32(Date.now() / 1000 + 3600) }),
  'a date gone': key => store(Op.SET, key, '1', { extras: u32(0) + u32(Date.now() / 1000 - 3600) }),
}

t.test('items end alike', { skip }, async t => {
  const pair = await startPair(t)
  const looks = Object.keys(TIMELINES)
    .map(key => frame(Op.GET, { key }))
    .join('')
  const found = await onTime(async timetable => {
    const begin = Object.entries(TIMELINES).map(([key, stores]) => stores(key))
    const steps: [name: string, ms: number, step: string][] = [
      ['at the start', 0, begin.join('') + looks],
      ['after two seconds', FIRST_LOOK_MS, looks],
      ['after five seconds', LAST_LOOK_MS, looks],
    ]
    const found: [name: string, difference: Difference | undefined][] = []
    for (const [name, ms, step] of steps) {
      await timetable.at(ms, async () => {
        found.push([name, await compare(pair, { steps: [step], dialect: BINARY })])
      })
    }
    return found
  })
  for (const [name, difference] of found) {
    t.equal(difference === undefined ? undefined : describe(difference), undefined, name)
  }
})

t.test('a delayed flush comes alike', { skip }, async t => {
  const pair = await startPair(t)
  const look = async (step: string, name: string) => {
    const found = await compare(pair, { steps: [step], dialect: BINARY })
    t.equal(found === undefined ? undefined : describe(found), undefined, name)
  }
  await look(ONE + frame(Op.FLUSH, { extras: u32(4) }) + GET, 'at the start')
  await sleep(LAST_LOOK_MS)
  await look(GET + ONE + GET, 'once it came')
})
