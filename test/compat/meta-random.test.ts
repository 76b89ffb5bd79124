/**
 * Random sessions of the meta commands, with classic ones between them, against memcached, from a
 * printed seed: many commands in a write, the stream cut at random places, and short sessions cut
 * at every byte. MEMSLAB_COMMANDS sets how many commands are sent (CI sends 100,000). A mismatch is
 * printed as the shortest session that was found to fail, with both replies.
 */
import t from 'tap'
import { startPair } from '../support/differential.ts'
import { randomMetaSession, resetMetaKeys } from '../support/meta-session.ts'
import { skipWithout } from '../support/oracle.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { type Kind, randomCuts, report, tryCommands } from '../support/random-runs.ts'

const COMMANDS = Number(process.env.MEMSLAB_COMMANDS ?? (process.env.CI ? 100_000 : 20_000))
const SESSION_COMMANDS = 400
const SHORT_SESSIONS = 12
const SHORT_COMMANDS = 15
// After a broken length these lines are eaten, and not the mark that ends a step.
const KIND: Kind = { reset: resetMetaKeys(), resync: '\r\n\r\n\r\n' }

const skip = skipWithout('memcached')
const timeout = 170_000

t.test('random sessions get the same replies', { skip, timeout }, async t => {
  const seed = announceSeed(t)
  const pair = await startPair(t)
  const sessionCount = Math.ceil(COMMANDS / SESSION_COMMANDS)
  for (let part = 0; part < sessionCount; part++) {
    const random = createRandom(seed, part)
    const session = randomMetaSession(random, SESSION_COMMANDS)
    const cuts = random.once(3) ? randomCuts(random) : []
    const found = await tryCommands(pair, KIND, session, { cuts })
    if (found === undefined) continue
    return report(t, pair, KIND, `seed ${seed}, session ${part}`, session, { cuts }, found)
  }
  t.pass(`${sessionCount * SESSION_COMMANDS} commands`)
})

t.test('short sessions cut at every byte', { skip, timeout }, async t => {
  const seed = announceSeed(t)
  const pair = await startPair(t)
  for (let part = 0; part < SHORT_SESSIONS; part++) {
    const session = randomMetaSession(createRandom(seed, 1_000_000 + part), SHORT_COMMANDS)
      // Large values would take long byte by byte and show nothing new.
      .filter(command => command.length < 400)
    const found = await tryCommands(pair, KIND, session, { everyByte: true })
    if (found === undefined) continue
    const where = `seed ${seed}, short session ${part}`
    return report(t, pair, KIND, where, session, { everyByte: true }, found)
  }
  t.pass(`${SHORT_SESSIONS} sessions`)
})
