// A connection over a line that cuts input anywhere, sends now, soon or later, and stops at any
// time: every request is answered, in order, and nothing stays held. There is no socket and no
// clock: pending events happen in a random order.

import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { type Host, TURN_UNBOUNDED } from '../../lib/protocol/host.ts'
import { Connection, type Hall } from '../../lib/server/connection.ts'
import { Sent } from '../../lib/server/line/line.ts'
import { REPLY_ROOM_BYTES, Replies } from '../../lib/server/line/replies.ts'
import { Roster } from '../../lib/server/roster.ts'
import { MoodyLine } from '../support/moody-line.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { createHost, heldCount, verifyAll } from '../support/server-session.ts'

const seed = announceSeed(t)
const ROUNDS = 100
const STEPS_MAX = 2_000_000
const ENDS = ['quit', 'closed its side', 'reset'] as const

for (const end of ENDS) {
  t.test(`a peer that ${end === 'quit' ? 'says quit' : end} is answered before`, async t => {
    const host = createHost({ memoryBytes: 128 * MIB })
    const outcomes = new Map<Sent, number>()
    for (let round = 0; round < ROUNDS; round++) {
      const random = createRandom(seed, round)
      const { input, replies } = requestsOf(random, round)
      const { line, roster, hall } = open(host, random, input)
      line.closesSide = end === 'closed its side'
      line.input = end === 'quit' ? Buffer.concat([input, Buffer.from('quit\r\n')]) : input
      const isReset = () => end === 'reset' && (line.isDone || random.once(500))
      for (let steps = 0; !line.isClosed; steps++) {
        if (steps > STEPS_MAX) throw new Error(`round ${round}: it never closes`)
        if (isReset()) line.reset()
        else line.step()
      }
      const got = Buffer.concat(line.sentPieces)
      const wanted = end === 'reset' ? replies.subarray(0, got.length) : replies
      if (!got.equals(wanted)) t.fail(`round ${round}: ${got.length} of ${wanted.length} bytes`)
      if (hall.open.size + roster.current() > 0) t.fail(`round ${round}: its place is taken`)
      if (heldCount(host) > 0) t.fail(`round ${round}: ${heldCount(host)} values are held`)
      verifyAll(host)
      for (const sent of line.outcomes) outcomes.set(sent, (outcomes.get(sent) ?? 0) + 1)
    }
    for (const sent of [Sent.ALL, Sent.SOON, Sent.LATER]) {
      t.ok((outcomes.get(sent) ?? 0) > ROUNDS, `${outcomes.get(sent)} replies of kind ${sent}`)
    }
  })
}

/** Sets and gets of values of all lengths, and their replies. */
function requestsOf(random: Random, round: number): { input: Buffer; replies: Buffer } {
  const values = new Map<string, string>()
  const requests: string[] = []
  const answers: string[] = []
  for (let i = random.between(1, 60); i > 0; i--) {
    const key = `key${round}_${random.below(5)}`
    if (random.once(3)) {
      const length = random.pick([0, 10, 100, 3000, 20_000, 70_000, 300_000])
      const value = String.fromCharCode(97 + random.below(26)).repeat(length)
      values.set(key, value)
      requests.push(`set ${key} 0 0 ${length}\r\n${value}\r\n`)
      answers.push('STORED\r\n')
    } else {
      const value = values.get(key)
      requests.push(`get ${key}\r\n`)
      answers.push(value === undefined ? '' : `VALUE ${key} 0 ${value.length}\r\n${value}\r\n`)
      answers.push('END\r\n')
    }
  }
  return { input: Buffer.from(requests.join('')), replies: Buffer.from(answers.join('')) }
}

function open(host: Host, random: Random, input: Buffer) {
  host.turn.requestsMax = random.pick([1, 7, TURN_UNBOUNDED])
  const roster = Roster.create(1, 1)
  const due: (() => void)[] = []
  const rooms = random.between(1, 2)
  const hall: Hall = {
    host,
    replies: new Replies(host.reply, rooms * REPLY_ROOM_BYTES, 2),
    roster,
    listeners: [{ address: '', state: '', protocol: 'auto', peerCheck: null }],
    open: new Set(),
    later: work => due.push(work),
    fail: error => {
      throw error
    },
  }
  const slot = roster.take(0, 0, 'tcp:192.0.2.1:1', 0)
  const made: { line?: MoodyLine } = {}
  new Connection(
    hall,
    owner => {
      made.line = new MoodyLine(hall.replies, owner, random, due)
      return made.line
    },
    slot,
  )
  const line = made.line as MoodyLine
  line.input = input
  return { line, roster, hall }
}
