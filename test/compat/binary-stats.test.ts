/**
 * Statistics over the binary protocol: each report has the names of the text protocol, and after
 * the same frames the counters that must agree with memcached's do.
 */
import t, { type Test } from 'tap'
import {
  BINARY,
  count,
  countExtras,
  frame,
  lastCas,
  Op,
  parseFrames,
  type Response,
  store,
  touch,
} from '../support/binary-frames.ts'
import { type Pair, runScript, startPair } from '../support/differential.ts'
import { NAMES_DROPPED_BY_NEWER, parseStats, STATS_MAY_DIFFER } from '../support/normalise.ts'
import { skipWithout } from '../support/oracle.ts'
import { ANSWER_MS_MAX, ask, openPeer } from '../support/server-peer.ts'
import { Wire } from '../support/wire.ts'

const skip = skipWithout('memcached')
/** memcached counts a too large value only in the text protocol. */
const COUNTED_HERE = 'store_too_large'
const THREADS = ['-t', '4']
const REPORTS = ['', 'settings', 'items', 'slabs', 'sizes']
const OPAQUE = 0x5ec0de
/** The end of a report's last frame: the opaque, and no CAS. */
const REPORT_END = Buffer.from(frame(Op.STAT, { magic: 0x81, opaque: OPAQUE }), 'latin1')

const STEPS = [
  store(Op.SET, 'k', '1') +
    store(Op.SETQ, 'l', '2') +
    store(Op.ADD, 'k', '3') +
    store(Op.ADDQ, 'm', '4'),
  store(Op.REPLACE, 'k', '5') +
    store(Op.REPLACEQ, 'none', '6') +
    frame(Op.APPEND, { key: 'l', value: '7' }),
  frame(Op.PREPENDQ, { key: 'none', value: '8' }) +
    frame(Op.GET, { key: 'k' }) +
    frame(Op.GETKQ, { key: 'none' }),
  frame(Op.GETK, { key: 'k' }) + frame(Op.GETQ, { key: 'l' }) + frame(Op.GET, { key: 'none' }),
  touch(Op.TOUCH, 'k', 0) +
    touch(Op.TOUCH, 'none', 0) +
    touch(Op.GAT, 'k', 0) +
    touch(Op.GATKQ, 'none', 0),
  store(Op.SET, 'k', '9', { cas: lastCas('k') }) + store(Op.SET, 'k', '9', { cas: 2n ** 40n }),
  store(Op.REPLACE, 'none', '9', { cas: 2n ** 40n }) +
    frame(Op.APPEND, { key: 'k', value: '0', cas: 2n ** 40n }),
  frame(Op.DELETE, { key: 'k', cas: 2n ** 40n }) +
    frame(Op.DELETE, { key: 'm' }) +
    frame(Op.DELETEQ, { key: 'none' }),
  store(Op.SET, 'large', 'x'.repeat(1_100_000)) + frame(Op.GET, { key: 'large' }) + frame(Op.NOOP),
]
const COUNTING = [
  count(Op.INCR, 'n', 1n, 5n, 0) +
    count(Op.INCR, 'n', 1n) +
    count(Op.DECRQ, 'n', 1n) +
    count(Op.INCR, 'none', 1n),
  count(Op.DECR, 'none', 1n) + store(Op.SET, 'w', 'w') + count(Op.INCR, 'w', 1n),
  frame(Op.INCR, { extras: countExtras(1n, 0n, 0), key: 'n', cas: 2n ** 40n }),
]
const FLUSH = [
  frame(Op.FLUSH) +
    frame(Op.GET, { key: 'k' }) +
    store(Op.SET, 'k', '1') +
    frame(Op.GET, { key: 'k' }),
]

t.test('counters agree after a session', { skip }, async t => {
  const pair = await startPair(t, THREADS)
  await onBoth(pair, STEPS)
  await sameCounters(t, pair, 'after a session')
  // incr stores in place or a new item, depending on whether the background thread holds the item.
  await onBoth(pair, COUNTING)
  await sameCounters(t, pair, 'after incr and decr', ['total_items'])
  // Flushed items are counted until something meets them.
  await onBoth(pair, FLUSH)
  await sameCounters(t, pair, 'after a flush', ['total_items', 'curr_items'])
  await onBoth(pair, [frame(Op.STAT, { key: 'reset' })])
  await sameCounters(t, pair, 'after stat reset', ['curr_items'])
})

t.test('each report has the names of the text protocol', { skip }, async t => {
  const pair = await startPair(t, THREADS)
  await onBoth(pair, STEPS)
  for (const [server, { port }] of Object.entries(pair)) {
    for (const report of REPORTS) {
      const given = await reportOf(port, report)
      const text = await openPeer(port)
      const lines = parseStats(
        await ask(text, `stats ${report}\r\n`.replace(' \r', '\r'), 'END\r\n'),
      )
      text.destroy()
      const name = `${server}: ${report === '' ? 'stats' : report}`
      t.same(
        given.map(({ key }) => key),
        lines.map(([line]) => line),
        `${name}: the same names`,
      )
      if (report === 'settings') {
        t.same(
          given.map(({ value }) => value),
          lines.map(([, value]) => value),
          `${name}: the same values`,
        )
      }
      t.ok(given.every(isPlain), `${name}: nothing else in any frame`)
    }
  }
})

async function reportOf(port: number, report: string): Promise<Response[]> {
  const wire = await Wire.connect(port)
  wire.send(Buffer.from(frame(Op.STAT, { key: report, opaque: OPAQUE }), 'latin1'))
  await wire.readUntil(REPORT_END, ANSWER_MS_MAX)
  const { responses } = parseFrames(wire.take().toString('latin1'))
  wire.close()
  return responses.slice(0, -1)
}

function isPlain({ opcode, status, opaque, cas, extras, dataType }: Response): boolean {
  const zeros = status === 0 && cas === 0n && extras === '' && dataType === 0
  return opcode === Op.STAT && opaque === OPAQUE && zeros
}

async function onBoth(pair: Pair, steps: string[]): Promise<void> {
  const script = { steps, dialect: BINARY }
  await Promise.all([runScript(pair.oracle.port, script), runScript(pair.daemon.port, script)])
}

async function sameCounters(t: Test, pair: Pair, when: string, except: string[] = []) {
  const [oracle, daemon] = await Promise.all(
    [pair.oracle, pair.daemon].map(({ port }) => runScript(port, { steps: ['stats\r\n'] })),
  )
  const given = new Map(parseStats(daemon.replies[0]))
  for (const [name, value] of parseStats(oracle.replies[0])) {
    if (NAMES_DROPPED_BY_NEWER.has(name) || except.includes(name)) continue
    if (name === COUNTED_HERE) continue
    if (STATS_MAY_DIFFER.some(may => may.test(name))) continue
    t.equal(given.get(name), value, `${name} ${when}`)
  }
}
