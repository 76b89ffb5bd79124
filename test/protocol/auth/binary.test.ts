// Authentication of binary sessions without a socket: SASL PLAIN, which frames are allowed before
// and after, frames cut anywhere, garbage.

import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { AUTH_FAILURES_MAX } from '../../../lib/protocol/auth/gate.ts'
import { State } from '../../../lib/protocol/conversation.ts'
import { type Host, ThreadCounter } from '../../../lib/protocol/host.ts'
import {
  type Doors,
  frame,
  Op,
  PASSWORD,
  plain,
  readResponses,
  Sasl,
  TestAuthenticator,
  USER,
} from '../../support/auth.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { createHost, Peer } from '../../support/server-session.ts'

const seed = announceSeed(t)

const RIGHT = frame(Sasl.AUTH, 'PLAIN', plain(USER, PASSWORD))
const WRONG = frame(Sasl.AUTH, 'PLAIN', plain(USER, 'wrong'))
const NOOP = frame(Op.NOOP)
const AUTHENTICATED = '21 0 Authenticated'
const FAILURE = '21 20 Auth failure.'
const REFUSED = 'a 20 Auth failure.'
const SERVED = 'a 0'

t.test('after a right claim pipelined requests are served', async t => {
  const { peer, auth, host } = start()
  t.same(say(peer, RIGHT + NOOP + frame(Op.GET, 'k')), [AUTHENTICATED, SERVED, '0 1 Not found'])
  t.same(auth.claims, [[USER, PASSWORD]])
  t.same(counted(host), [1, 0])
})

t.test(
  'before that the list of mechanisms and the version are served, and nothing else',
  async t => {
    const { peer } = start()
    t.same(say(peer, frame(Sasl.LIST) + frame(Op.VERSION)), ['20 0 PLAIN', 'b 0 1.2.3-test'])
    for (let opcode = 0; opcode < 256; opcode++) {
      if (opcode === Op.VERSION || (opcode >= Sasl.LIST && opcode <= Sasl.STEP)) continue
      const { peer } = start()
      const answer = `${opcode.toString(16)} 20 Auth failure.`
      t.same(say(peer, frame(opcode, 'key', 'value', { extras: '12345678' }) + RIGHT), [answer])
      t.equal(peer.session.state, State.ENDED)
    }
  },
)

t.test('a wrong claim may be followed by a right one', async t => {
  const { peer, host } = start()
  t.same(say(peer, WRONG + WRONG + RIGHT + NOOP), [FAILURE, FAILURE, AUTHENTICATED, SERVED])
  t.same(counted(host), [3, 2])
})

t.test('messages that are not PLAIN', async t => {
  const { peer, auth } = start()
  const messages = [
    `${USER}\0${PASSWORD}`,
    `${USER} ${PASSWORD}`,
    `\0${USER}\0${PASSWORD}\0`,
    `\0${USER}\0${PASSWORD}\0more`,
    plain('', PASSWORD),
    plain(USER, ''),
    plain(USER, PASSWORD, 'somebody'),
    '\0',
    '\0\0',
    '\0\0\0',
  ]
  for (const message of messages) {
    const { peer } = start()
    t.same(say(peer, frame(Sasl.AUTH, 'PLAIN', message)), [FAILURE], JSON.stringify(message))
  }
  t.same(auth.claims, [])
  t.same(say(peer, frame(Sasl.AUTH, 'PLAIN', plain(USER, PASSWORD, USER))), [AUTHENTICATED])
})

t.test('the mechanism', async t => {
  for (const mechanism of ['plain', 'Plain']) {
    const auth = frame(Sasl.AUTH, mechanism, plain(USER, PASSWORD))
    t.same(say(start().peer, auth), [AUTHENTICATED])
  }
  for (const mechanism of ['CRAM-MD5', 'PLAINX', 'PLAI', 'P'.repeat(32)]) {
    for (const value of ['', plain(USER, PASSWORD)]) {
      t.same(say(start().peer, frame(Sasl.AUTH, mechanism, value)), [FAILURE], mechanism)
    }
  }
  const { peer } = start()
  t.same(say(peer, frame(Sasl.AUTH, 'P'.repeat(33), 'x') + RIGHT), [
    '21 4 Invalid arguments',
    AUTHENTICATED,
  ])
})

t.test('an auth without a value is continued by a step', async t => {
  const begin = frame(Sasl.AUTH, 'PLAIN')
  const step = (password: string) => frame(Sasl.STEP, 'PLAIN', plain(USER, password))
  const CONTINUE = '21 21'
  const STEP_FAILURE = '22 20 Auth failure.'
  const STEP_DONE = '22 0 Authenticated'
  const cases: [name: string, sent: string, answers: string[]][] = [
    ['at once', begin + step(PASSWORD) + NOOP, [CONTINUE, STEP_DONE, SERVED]],
    ['after a wrong step', begin + step('x') + step(PASSWORD), [CONTINUE, STEP_FAILURE, STEP_DONE]],
    ['a step too early', step(PASSWORD) + NOOP, [STEP_FAILURE, REFUSED]],
    ['after a wrong auth', WRONG + step(PASSWORD), [FAILURE, STEP_FAILURE]],
    ['after a right auth', RIGHT + step(PASSWORD) + NOOP, [AUTHENTICATED, STEP_FAILURE, REFUSED]],
    ['begun twice', begin + begin + step(PASSWORD), [CONTINUE, CONTINUE, STEP_DONE]],
    [
      'a list between',
      begin + frame(Sasl.LIST) + step(PASSWORD),
      [CONTINUE, '20 0 PLAIN', STEP_DONE],
    ],
    ['an empty step', begin + frame(Sasl.STEP, 'PLAIN') + NOOP, [CONTINUE, STEP_FAILURE, REFUSED]],
    ['nothing but the beginning', begin + NOOP, [CONTINUE, REFUSED]],
  ]
  for (const [name, sent, answers] of cases) t.same(say(start().peer, sent), answers, name)
})

t.test('a peer that begins again is unauthenticated until answered', async t => {
  const list = frame(Sasl.LIST)
  t.same(say(start().peer, RIGHT + RIGHT + NOOP), [AUTHENTICATED, AUTHENTICATED, SERVED])
  t.same(say(start().peer, RIGHT + WRONG + NOOP), [AUTHENTICATED, FAILURE, REFUSED])
  t.same(say(start().peer, RIGHT + list + NOOP), [AUTHENTICATED, '20 0 PLAIN', REFUSED])
  const begin = frame(Sasl.AUTH, 'PLAIN')
  t.same(say(start().peer, RIGHT + begin + NOOP), [AUTHENTICATED, '21 21', REFUSED])
})

t.test('broken frames close the connection', async t => {
  const cases: [name: string, sent: string, answers: string[]][] = [
    ['no mechanism', frame(Sasl.AUTH, '', 'x'), ['21 4 Invalid arguments']],
    ['extras', frame(Sasl.AUTH, 'PLAIN', 'x', { extras: '1234' }), ['21 4 Invalid arguments']],
    ['a list with a key', frame(Sasl.LIST, 'x'), ['20 4 Invalid arguments']],
    ['a list with a value', frame(Sasl.LIST, '', 'x'), ['20 4 Invalid arguments']],
    [
      'a body too short',
      frame(Sasl.AUTH, 'PLAIN', '', { bodyBytes: 3 }),
      ['21 81 Unknown command'],
    ],
    ['a stranger with one', frame(Op.GET, 'k', '', { bodyBytes: 0 }), ['0 81 Unknown command']],
    ['a version with a key', frame(Op.VERSION, 'k'), ['b 4 Invalid arguments']],
    ['a mechanism of 251', frame(Sasl.AUTH, 'P'.repeat(251), 'x'), ['21 4 Invalid arguments']],
    [
      'another magic',
      frame(Op.VERSION) + frame(Op.VERSION, '', '', { magic: 0x81 }),
      ['b 0 1.2.3-test'],
    ],
  ]
  for (const [name, sent, answers] of cases) {
    const { peer } = start()
    t.same(say(peer, sent + RIGHT), answers, name)
    t.equal(peer.session.state, State.ENDED, name)
  }
})

t.test('a claim too long to be right is discarded as it arrives', async t => {
  const { peer, auth, host } = start()
  const long = frame(Sasl.AUTH, 'PLAIN', plain(USER, 'x'.repeat(100_000)))
  t.same(say(peer, long.slice(0, 50_000)), [FAILURE])
  t.equal(peer.restMax, 0)
  t.same(say(peer, long.slice(50_000) + RIGHT + NOOP), [AUTHENTICATED, SERVED])
  t.equal(auth.claims.length, 1)
  t.same(counted(host), [2, 1])
})

t.test('frames cut at every byte get the same answers', async t => {
  const begin = frame(Sasl.AUTH, 'PLAIN')
  const step = frame(Sasl.STEP, 'PLAIN', plain(USER, PASSWORD))
  const stream = frame(Sasl.LIST) + WRONG + begin + step + NOOP + RIGHT + frame(Op.GET, 'key')
  const whole = say(start().peer, stream)
  t.equal(whole.length, 7)
  for (let cut = 1; cut < stream.length; cut++) {
    const { peer } = start()
    const given = [...say(peer, stream.slice(0, cut)), ...say(peer, stream.slice(cut))]
    if (JSON.stringify(given) !== JSON.stringify(whole)) t.same(given, whole, `cut at ${cut}`)
  }
  const { peer } = start()
  peer.feedPieces(Buffer.from(stream, 'latin1'), () => 1)
  t.same(readResponses(peer.take()), whole, 'byte by byte')
})

t.test('garbage does not authenticate', async t => {
  const random = createRandom(seed)
  for (let round = 0; round < 300; round++) {
    const { peer, auth } = start()
    const bytes = Buffer.from(
      Array.from({ length: random.between(24, 400) }, () => random.below(256)),
    )
    bytes[0] = 0x80
    if (random.once(2)) bytes[1] = random.between(Sasl.LIST, Sasl.STEP)
    if (random.once(2)) bytes.fill(0, 2, 10)
    peer.feedPieces(bytes, () => random.between(1, 100))
    peer.feed(Buffer.from(NOOP, 'latin1'))
    const served = readResponses(peer.take()).filter(response => response === SERVED)
    t.same([served, auth.judged.filter(([, right]) => right)], [[], []])
  }
})

t.test('a claim is wiped from the buffer', async t => {
  const { peer } = start()
  const area = new Area(Buffer.from(WRONG, 'latin1'))
  peer.session.run(area, 0, area.bytes.length)
  t.equal(area.bytes.indexOf('wrong'), -1)
})

t.test('answers are delayed, and a peer with too many failures is closed', async t => {
  const { peer, auth } = start({ delayMs: failures => (failures > 1 ? 20 : 0) })
  peer.queue(Buffer.from(WRONG + WRONG + RIGHT + NOOP, 'latin1'))
  peer.eat()
  t.ok(peer.session.isStuck())
  t.same(readResponses(peer.take()), [FAILURE])
  t.equal(auth.claims.length, 2)
  peer.goOn()
  t.same(readResponses(peer.take()), [FAILURE, AUTHENTICATED, SERVED])
  const other = start({ delayMs: () => 1 }).peer
  for (let i = 0; i < AUTH_FAILURES_MAX; i++) t.same(say(other, WRONG), [FAILURE])
  t.equal(other.session.state, State.ENDED)
  t.same(say(other, RIGHT), [])
})

t.test('without -S there is no SASL, and with it no text', async t => {
  const peer = new Peer(createHost())
  const unknown = ['20 81 Unknown command', '21 81 Unknown command', '22 81 Unknown command']
  const step = frame(Sasl.STEP, 'PLAIN', 'x')
  t.same(say(peer, frame(Sasl.LIST) + RIGHT + step + NOOP), [...unknown, SERVED])
  const text = start({ text: false }).peer
  t.same(say(text, 'get a\r\nset x 0 0 14\r\nuser pass word\r\n'), [])
  t.equal(text.session.state, State.ENDED)
})

function start(doors: Doors = {}) {
  const auth = new TestAuthenticator(doors)
  const host: Host = { ...createHost(), auth, counters: new Float64Array(32) }
  return { host, auth, peer: new Peer(host) }
}

function say(peer: Peer, text: string): string[] {
  peer.feed(Buffer.from(text, 'latin1'))
  return readResponses(peer.take())
}

function counted({ counters }: Host): [commands: number, errors: number] {
  return [counters[ThreadCounter.AUTH_CMDS], counters[ThreadCounter.AUTH_ERRORS]]
}
