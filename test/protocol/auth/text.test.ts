// Authentication of text sessions without a socket: right and wrong claims, cut anywhere, with
// garbage before them, and delayed answers.

import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { AUTH_FAILURES_MAX } from '../../../lib/protocol/auth/gate.ts'
import { State } from '../../../lib/protocol/conversation.ts'
import { type Host, ThreadCounter } from '../../../lib/protocol/host.ts'
import { AUTH_CLAIM_BYTES_MAX, LINE_BYTES_MAX } from '../../../lib/protocol/limits.ts'
import { type Doors, PASSWORD, TestAuthenticator, USER } from '../../support/auth.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { createHost, Peer } from '../../support/server-session.ts'
import { randomGarbage } from '../../support/server-stream.ts'

const seed = announceSeed(t)

const RIGHT = claim(`${USER} ${PASSWORD}`)
const WRONG = claim(`${USER} wrong`)
const STORED = 'STORED\r\n'
const FAILURE = 'CLIENT_ERROR authentication failure\r\n'
const UNAUTHENTICATED = 'CLIENT_ERROR unauthenticated\r\n'
const BAD_FORMAT = 'CLIENT_ERROR bad authentication token format\r\n'
const BAD_END = 'CLIENT_ERROR bad command line termination\r\n'

const REFUSALS = new RegExp(`${UNAUTHENTICATED}|${BAD_FORMAT}|${BAD_END}|${FAILURE}`, 'g')

t.test('after a right claim pipelined requests are served', async t => {
  const { peer, auth, host } = start()
  t.equal(
    say(peer, `${RIGHT}set a 0 0 1\r\nx\r\nget a\r\n${WRONG}`),
    `${STORED}STORED\r\n`.concat('VALUE a 0 1\r\nx\r\nEND\r\nSTORED\r\n'),
  )
  t.same(auth.claims, [[USER, PASSWORD]])
  t.same(counted(host), [1, 0])
  t.equal(say(peer, 'get x\r\n'), `VALUE x 0 10\r\n${USER} wrong\r\nEND\r\n`, 'now a set is a set')
})

t.test('nothing else is served', async t => {
  for (const line of [
    'get a',
    'gets a b',
    'add x 0 0 14',
    'SET x 0 0 14',
    'set x 0 0',
    'set x 0 0 x',
    'set x 0 0 -1',
    'set x 0 0 9x',
    'set x 0 0 +14',
    'set x 0 0 4294967296',
    'set x 0 0 99999999999999999999',
    ' set x 0 0 14',
    'mg a v',
    'version',
    'verbosity 2',
    'stats',
    'flush_all',
    'shutdown',
    'GET / HTTP/1.1',
    'a\0bcd',
    'x'.repeat(10 * LINE_BYTES_MAX),
  ]) {
    const { peer, host } = start()
    t.equal(say(peer, `${line}\r\n`), UNAUTHENTICATED, line.slice(0, 40))
    t.not(peer.session.state, State.ENDED)
    t.same(counted(host), [0, 0])
    t.equal(say(peer, RIGHT), STORED)
  }
})

t.test('lines that are no claims', async t => {
  const { peer, auth, host } = start()
  t.equal(say(peer, claim('user')), BAD_FORMAT)
  t.equal(say(peer, claim('')), BAD_FORMAT)
  t.equal(say(peer, 'set x 0 0 14\r\nuser pass wordXX'), BAD_END)
  t.equal(say(peer, 'set x 0 0 14\r\nuser pass word\n\n'), BAD_END)
  t.same(auth.claims, [])
  t.same(counted(host), [0, 0])
  t.equal(say(peer, WRONG), FAILURE)
  t.equal(say(peer, claim(' ')), FAILURE)
  t.equal(say(peer, claim(` ${USER} ${PASSWORD}`)), FAILURE)
  t.same(auth.claims.slice(1), [
    ['', ''],
    ['', `${USER} ${PASSWORD}`],
  ])
  t.same(counted(host), [3, 3])
})

t.test('key, flags, exptime and further words do not matter', async t => {
  for (const line of [
    'set a b c 14',
    'set  x  0 0  14',
    'set x 0 0 14 noreply',
    'set x 0 0 14 a b',
  ]) {
    t.equal(say(start().peer, `${line}\r\n${USER} ${PASSWORD}\r\n`), STORED, line)
  }
  t.equal(say(start().peer, `set x 0 0 14\n${USER} ${PASSWORD}\r\n`), STORED)
})

t.test('one refusal answers all lines that arrive together', async t => {
  const { peer } = start()
  t.equal(say(peer, 'set a 0 0 zz\r\nhello\r\nget a\r\n'), UNAUTHENTICATED)
  t.equal(say(peer, 'get a\r\n'), UNAUTHENTICATED)
  t.equal(
    say(peer, `get a\r\n${RIGHT}get a\r\nget a\r\n`),
    `${UNAUTHENTICATED}${STORED}END\r\nEND\r\n`,
  )
})

t.test('a line without an end is waited for, up to a bound', async t => {
  const { peer } = start()
  t.equal(say(peer, 'x'.repeat(LINE_BYTES_MAX)), '')
  t.not(peer.session.state, State.ENDED)
  t.equal(say(peer, 'x'), '')
  t.equal(peer.session.state, State.ENDED)
})

t.test('a claim too long to be right is discarded as it arrives', async t => {
  const { peer, auth, host } = start()
  const long = claim(`${USER} ${'x'.repeat(16_379)}`)
  t.match(long, /^set x 0 0 16384\r\n/, 'the longest that is read')
  t.equal(say(peer, long.slice(0, 9000)), '')
  t.ok(peer.restMax < AUTH_CLAIM_BYTES_MAX, 'it is not kept')
  t.equal(say(peer, long.slice(9000)), FAILURE)
  t.same(auth.claims, [])
  t.same(counted(host), [1, 1])
  t.equal(say(peer, RIGHT), STORED)
})

t.test('a claim above 16 KiB is refused before it arrives', async t => {
  for (const bytes of ['16385', '2000000000', '4294967295']) {
    const { peer, auth, host } = start()
    t.equal(say(peer, `set x 0 0 ${bytes}\r\n`), 'CLIENT_ERROR auth token too long\r\n')
    t.same(auth.claims, [])
    t.same(counted(host), [0, 0])
    t.equal(say(peer, RIGHT), STORED)
  }
})

t.test('lines of fewer than six bytes close the connection without an answer', async t => {
  for (const line of ['quit\r\n', '\r\n\n', 'mg a\r\n', 'abcde\n', '\n\n\n']) {
    const { peer, host } = start()
    t.equal(say(peer, line), '', line)
    t.equal(peer.session.state, State.ENDED)
    t.same(counted(host), [0, 0])
  }
  t.equal(say(start().peer, '\n\n'), '', 'two bytes are not looked at')
  t.equal(say(start().peer, 'abcde\r\n'), UNAUTHENTICATED)
})

t.test('requests cut at every byte get the same answers', async t => {
  const stream = `${WRONG}${claim('user')}${WRONG}${RIGHT}set a 0 0 1\r\nx\r\nget a\r\n`
  const whole = say(start().peer, stream)
  t.match(whole, `${FAILURE}${BAD_FORMAT}${FAILURE}${STORED}STORED\r\nVALUE a`)
  for (let cut = 1; cut < stream.length; cut++) {
    const { peer } = start()
    const given = say(peer, stream.slice(0, cut)) + say(peer, stream.slice(cut))
    if (given !== whole) t.equal(given, whole, `cut at ${cut}`)
  }
  const { peer } = start()
  peer.feedPieces(Buffer.from(stream), () => 1)
  t.equal(peer.take().toString('latin1'), whole, 'byte by byte')
})

t.test('garbage does not authenticate', async t => {
  const random = createRandom(seed)
  for (let round = 0; round < 100; round++) {
    const { peer, auth } = start()
    const garbage = Buffer.concat([
      Buffer.from('x'),
      randomGarbage(random, random.between(1, 6000)),
    ])
    peer.feedPieces(garbage, () => random.between(1, 3000))
    const given = peer.take().toString('latin1')
    t.equal(given.replace(REFUSALS, ''), '', `round ${round}`)
    t.same(
      auth.judged.filter(([, right]) => right),
      [],
    )
  }
})

t.test('a claim is wiped from the buffer', async t => {
  const { peer } = start()
  const { session } = peer
  const bytes = Buffer.from(WRONG)
  session.run(new Area(bytes), 0, bytes.length)
  t.equal(bytes.indexOf('wrong'), -1)
})

t.test('answers are delayed, and nothing is served before they are sent', async t => {
  const { peer, auth } = start({ delayMs: failures => (failures > 1 ? 30 : 0) })
  t.equal(say(peer, WRONG), FAILURE)
  peer.queue(Buffer.from(`${WRONG}${RIGHT}get a\r\n`))
  const startedMs = performance.now()
  peer.eat()
  t.ok(peer.session.isStuck())
  t.equal(peer.take().toString(), '')
  t.equal(auth.claims.length, 2, 'the next claim is not looked at yet')
  peer.goOn()
  t.ok(performance.now() - startedMs >= 60, 'two answers waited')
  t.equal(peer.take().toString(), `${FAILURE}${STORED}END\r\n`)
  t.same(auth.judged, [
    [1, false],
    [2, false],
    [2, true],
  ])
})

t.test('a peer with too many failures is closed', async t => {
  for (const delayMs of [0, 1]) {
    const { peer } = start({ delayMs: () => delayMs })
    for (let i = 1; i < AUTH_FAILURES_MAX; i++) t.equal(say(peer, WRONG), FAILURE)
    t.not(peer.session.state, State.ENDED)
    t.equal(say(peer, WRONG + RIGHT), FAILURE)
    t.equal(peer.session.state, State.ENDED)
  }
})

t.test('a peer may close while its answer is delayed', async t => {
  const { peer } = start({ delayMs: () => 10_000 })
  peer.queue(Buffer.from(WRONG))
  peer.eat()
  peer.session.close()
  t.equal(peer.session.state, State.ENDED)
})

t.test('a protocol without authentication is not served', async t => {
  const { peer } = start({ text: false })
  t.equal(say(peer, `${RIGHT}get a\r\n`), '')
  t.equal(peer.session.state, State.ENDED)
  const binary = start({ sasl: false }).peer
  binary.feed(Buffer.concat([Buffer.from([0x80, 0x0b]), Buffer.alloc(22)]))
  t.equal(binary.take().length, 0)
  t.equal(binary.session.state, State.ENDED)
})

function claim(payload: string): string {
  return `set x 0 0 ${payload.length}\r\n${payload}\r\n`
}

function start(doors: Doors = {}) {
  const auth = new TestAuthenticator(doors)
  const host: Host = { ...createHost(), auth, counters: new Float64Array(32) }
  return { host, auth, peer: new Peer(host) }
}

function say(peer: Peer, text: string): string {
  peer.feed(Buffer.from(text, 'latin1'))
  return peer.take().toString('latin1')
}

function counted({ counters }: Host): [commands: number, errors: number] {
  return [counters[ThreadCounter.AUTH_CMDS], counters[ThreadCounter.AUTH_ERRORS]]
}
