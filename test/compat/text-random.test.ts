/**
 * Random sessions of the classic text protocol against memcached, from a printed seed: many
 * commands in a write, the stream cut at random places, and short sessions cut at every byte. A
 * mismatch is printed as the shortest failing session that was found, with both replies.
 */
import t from 'tap'
import { startPair } from '../support/differential.ts'
import { isOracleNewer, skipWithout } from '../support/oracle.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import {
  type Command,
  compareCutSessions,
  compareRandomSessions,
  type Draw,
  type Kind,
  report,
  shrink,
  tryCommands,
} from '../support/random-runs.ts'
import { runs } from '../support/runs.ts'
import { ALIKE, ALL, deleteAllKeys, randomSession } from '../support/text-session.ts'

const SHORT_SESSIONS = runs(4, 12)
const SHORT_COMMANDS = 15
const SCOPE = isOracleNewer() ? ALL : ALIKE
const KIND: Kind = {
  reset: `flush_all\r\n${deleteAllKeys()}`,
  // After a broken length these lines are consumed instead of the mark that ends a step.
  resync: SCOPE === ALL ? '\r\n\r\n\r\n' : '',
}
const draw: Draw = (random, commands) => randomSession(random, commands, SCOPE)

const skip = skipWithout('memcached')
const timeout = 600_000

t.test('random sessions get the same replies', { skip, timeout }, async t => {
  await compareRandomSessions(t, KIND, draw)
})

t.test('short sessions cut at every byte', { skip, timeout }, async t => {
  await compareCutSessions(t, KIND, draw, SHORT_SESSIONS)
})

t.test('short sessions cut once, at each place', { skip, timeout }, async t => {
  const seed = announceSeed(t)
  const pair = await startPair(t)
  const session = draw(createRandom(seed, 2_000_000), SHORT_COMMANDS).filter(
    command => command.length < 100,
  )
  const length = session.join('').length
  for (let place = 1; place < length; place++) {
    const cuts = [place / length]
    const found = await tryCommands(pair, KIND, session, { cuts })
    if (found === undefined) continue
    return report(t, pair, KIND, {
      where: `seed ${seed}`,
      session,
      cutting: { cuts },
      first: found,
    })
  }
  t.pass(`${length} places`)
})

t.test('a mismatch is shrunk to the commands that matter', { skip }, async t => {
  const needed = ['set k1 0 0 1\r\n1\r\n', 'incr k1 5\r\n']
  const session = randomSession(createRandom(1), 300)
  session.splice(100, 0, needed[0])
  session.splice(200, 0, needed[1])
  const fails = async (commands: Command[]) => needed.every(need => commands.includes(need))
  t.same(await shrink(session, fails), needed)
})
