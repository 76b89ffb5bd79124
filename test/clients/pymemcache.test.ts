/**
 * pymemcache against a real daemon: its whole API over the text protocol.
 */
import t from 'tap'
import {
  skipWithoutTls,
  startServing,
  startServingTls,
  startServingUnix,
} from '../support/client-server.ts'
import { runSession } from '../support/client-session.ts'
import { skipWithoutPython } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'

const SESSION = 'pymemcache/session.py'
const FACTS_MIN = 135

// Sessions wait for items to expire: they run side by side.
t.test('pymemcache', { skip: skipWithoutPython('pymemcache'), jobs: 3 }, async t => {
  t.test('over TCP', async t => {
    const { port } = await startServing(t)
    await runSession(t, SESSION, [HOST, port], FACTS_MIN)
  })
  t.test('over TLS', { skip: skipWithoutTls() }, async t => {
    const { port, ca } = await startServingTls(t)
    await runSession(t, SESSION, [HOST, port, ca], FACTS_MIN)
  })
  t.test('over a UNIX socket', async t => {
    const { path } = await startServingUnix(t)
    await runSession(t, SESSION, [path], FACTS_MIN)
  })
})
