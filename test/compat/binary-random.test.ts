/**
 * Random sessions of the binary protocol against memcached, as in text-random.test.ts: from a
 * printed seed, cut at random places, and shrunk where they differ.
 */
import t from 'tap'
import { BINARY, frame, keyTag, Op, parseFrames } from '../support/binary-frames.ts'
import { deleteAllKeys, randomSession } from '../support/binary-session.ts'
import { runScript } from '../support/differential.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import { createRandom } from '../support/prng.ts'
import { compareCutSessions, compareRandomSessions, type Kind } from '../support/random-runs.ts'

const SHORT_SESSIONS = 4
const KIND: Kind = { dialect: BINARY, reset: deleteAllKeys(), resync: '' }

const skip = skipWithout('memcached')
const timeout = 600_000

t.test('random sessions get the same responses', { skip, timeout }, async t => {
  await compareRandomSessions(t, KIND, randomSession)
})

t.test('short sessions cut at every byte', { skip, timeout }, async t => {
  await compareCutSessions(t, KIND, randomSession, SHORT_SESSIONS)
})

t.test('the sessions meet what they are made for', { skip }, async t => {
  const oracle = await startOracle(t)
  const steps = Array.from({ length: 10 }, (_, part) =>
    randomSession(createRandom(7, part), 200).slice(0, 200).join(''),
  )
  await runScript(oracle.port, { steps: [deleteAllKeys()], dialect: BINARY })
  const { replies } = await runScript(oracle.port, { steps, dialect: BINARY })
  const lines = replies.join('').split('\n')
  for (const status of ['00', '01', '02', '03', '05', '06', '81']) {
    const count = lines.filter(line => line.split(' ')[1] === status).length
    t.ok(count >= 3, `status ${status}: ${count} times`)
  }
})

t.test('a normalised response keeps what must be compared', async t => {
  const normalise = BINARY.createNormaliser(true)
  const hit = (parts: object) =>
    frame(Op.GET, { magic: 0x81, extras: '\0\0\0\0', opaque: keyTag('k'), ...parts })
  const base = { value: '12', cas: 7n }
  const first = normalise(hit(base))
  const changes = [
    { value: '13' },
    { cas: 8n },
    { opaque: 9 },
    { extras: '\0\0\0\x01' },
    { key: 'k' },
  ]
  for (const change of [...changes, { vbucket: 1 }, { dataType: 1 }]) {
    t.not(normalise(hit({ ...base, ...change })), first, JSON.stringify(Object.keys(change)))
  }
  t.equal(normalise(hit(base)), first)
  t.equal(normalise(hit({ ...base, value: '12  ' })), first, 'padding aside')
  t.equal(normalise.lastCas(`${keyTag('k')}`), '7')
  t.same(parseFrames(`${hit(base)}rest`).rest, 'rest')
  t.match(normalise('rest'), 'rest')
})
