/**
 * php-memcached (libmemcached for PHP) against a real daemon: its whole API in both protocols, the
 * options that change what it sends, and PHP's sessions stored in the cache.
 */
import t from 'tap'
import { PASSWORD, USER } from '../support/auth.ts'
import { startServing, startServingUnix } from '../support/client-server.ts'
import { runSession } from '../support/client-session.ts'
import { skipWithoutPhp } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'
import { startSaslDaemon } from '../support/sasl.ts'

const SESSION = 'php-memcached/session.php'
const FACTS_MIN = 241
const UNIX_PORT = 0

const PROTOCOLS = ['text', 'binary']

// Sessions wait for items to expire: those on different servers run side by side.
t.test('php-memcached', { skip: skipWithoutPhp('memcached'), jobs: 3 }, async t => {
  t.test('over TCP', async t => {
    const { port } = await startServing(t)
    for (const protocol of PROTOCOLS) {
      await t.test(protocol, t => runSession(t, SESSION, [protocol, HOST, port], FACTS_MIN))
    }
  })
  t.test('over a UNIX socket', async t => {
    const { path } = await startServingUnix(t)
    for (const protocol of PROTOCOLS) {
      await t.test(protocol, t => runSession(t, SESSION, [protocol, path, UNIX_PORT], FACTS_MIN))
    }
  })
  t.test('binary with SASL', async t => {
    const { port } = await startSaslDaemon(t)
    await runSession(t, SESSION, ['binary', HOST, port, USER, PASSWORD], FACTS_MIN)
  })
})
