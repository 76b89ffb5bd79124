/**
 * Random sessions of the meta commands, with classic ones between them, against memcached, from a
 * printed seed: many commands in a write, the stream cut at random places, and short sessions cut
 * at every byte. A mismatch is printed as the shortest session that was found to fail, with both
 * replies.
 */
import t from 'tap'
import { randomMetaSession, resetMetaKeys } from '../support/meta-session.ts'
import { skipWithout } from '../support/oracle.ts'
import { compareCutSessions, compareRandomSessions, type Kind } from '../support/random-runs.ts'

const SHORT_SESSIONS = 12
// After a broken length these lines are eaten, and not the mark that ends a step.
const KIND: Kind = { reset: resetMetaKeys(), resync: '\r\n\r\n\r\n' }

const skip = skipWithout('memcached')
const timeout = 170_000

t.test('random sessions get the same replies', { skip, timeout }, async t => {
  await compareRandomSessions(t, KIND, randomMetaSession)
})

t.test('short sessions cut at every byte', { skip, timeout }, async t => {
  await compareCutSessions(t, KIND, randomMetaSession, SHORT_SESSIONS)
})
