/**
 * Random sessions of meta commands and classic ones against memcached, from a printed seed: many
 * commands in a write, the stream cut at random places, and short sessions cut at every byte. A
 * mismatch is printed as the shortest failing session that was found, with both replies.
 */
import t from 'tap'
import { randomMetaSession, resetMetaKeys } from '../support/meta-session.ts'
import { isOracleNewer, skipWithout } from '../support/oracle.ts'
import {
  compareCutSessions,
  compareRandomSessions,
  type Draw,
  type Kind,
} from '../support/random-runs.ts'
import { runs } from '../support/runs.ts'
import { ALIKE, ALL } from '../support/text-session.ts'

const SHORT_SESSIONS = runs(4, 12)
const SCOPE = isOracleNewer() ? ALL : ALIKE
// After a broken length these lines are consumed instead of the mark that ends a step.
const KIND: Kind = { reset: resetMetaKeys(), resync: SCOPE === ALL ? '\r\n\r\n\r\n' : '' }
const draw: Draw = (random, commands) => randomMetaSession(random, commands, SCOPE)

const skip = skipWithout('memcached')
const timeout = 600_000

t.test('random sessions get the same replies', { skip, timeout }, async t => {
  await compareRandomSessions(t, KIND, draw)
})

t.test('short sessions cut at every byte', { skip, timeout }, async t => {
  await compareCutSessions(t, KIND, draw, SHORT_SESSIONS)
})
