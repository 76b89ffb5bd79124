/**
 * dalli (Ruby) against a real daemon: its whole API over the binary protocol.
 */
import t from 'tap'
import { PASSWORD, USER } from '../support/auth.ts'
import { startServing, startServingUnix } from '../support/client-server.ts'
import { runSession } from '../support/client-session.ts'
import { skipWithoutRuby } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'
import { startSaslDaemon } from '../support/sasl.ts'

const SESSION = 'dalli/session.rb'
const FACTS_MIN = 106

// Sessions wait for items to expire: they run side by side.
t.test('dalli', { skip: skipWithoutRuby('dalli'), jobs: 3 }, async t => {
  t.test('over TCP', async t => {
    const { port } = await startServing(t)
    await runSession(t, SESSION, [`${HOST}:${port}`], FACTS_MIN)
  })
  t.test('over a UNIX socket', async t => {
    const { path } = await startServingUnix(t)
    await runSession(t, SESSION, [path], FACTS_MIN)
  })
  t.test('with SASL', async t => {
    const { port } = await startSaslDaemon(t)
    await runSession(t, SESSION, [`${HOST}:${port}`, USER, PASSWORD], FACTS_MIN)
  })
})
