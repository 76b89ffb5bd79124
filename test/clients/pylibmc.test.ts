/**
 * pylibmc (libmemcached for Python) against a real daemon: its whole API in both protocols.
 */
import t from 'tap'
import { PASSWORD, USER } from '../support/auth.ts'
import { startServing, startServingUnix } from '../support/client-server.ts'
import { runSession } from '../support/client-session.ts'
import { skipWithoutPython } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'
import { startSaslDaemon } from '../support/sasl.ts'

const SESSION = 'pylibmc/session.py'
const FACTS_MIN = 159

const PROTOCOLS = ['text', 'binary']

// Sessions wait for items to expire: those on different servers run side by side.
t.test('pylibmc', { skip: skipWithoutPython('pylibmc'), jobs: 3 }, async t => {
  t.test('over TCP', async t => {
    const { port } = await startServing(t)
    for (const protocol of PROTOCOLS) {
      await t.test(protocol, t => runSession(t, SESSION, [protocol, `${HOST}:${port}`], FACTS_MIN))
    }
  })
  t.test('over a UNIX socket', async t => {
    const { path } = await startServingUnix(t)
    for (const protocol of PROTOCOLS) {
      await t.test(protocol, t => runSession(t, SESSION, [protocol, path], FACTS_MIN))
    }
  })
  t.test('binary with SASL', async t => {
    const { port } = await startSaslDaemon(t)
    await runSession(t, SESSION, ['binary', `${HOST}:${port}`, USER, PASSWORD], FACTS_MIN)
  })
})
