// Many connections on several threads request the same items at once: for each item that is
// missing, about to expire or stale, exactly one of them wins the recache.

import t, { type Test } from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { Wire } from '../support/wire.ts'

const THREADS = 2
const PEERS = 12
const KEYS = 200
const ROUNDS = 3
const REPLY_MS_MAX = 10_000
const VALUE = 'v'.repeat(20)

t.test('one peer of a herd wins each item', async t => {
  const daemon = await startDaemon(t, ['-t', `${THREADS}`])
  const peers = await Promise.all(Array.from({ length: PEERS }, () => Wire.connect(daemon.port)))
  t.teardown(() => {
    for (const peer of peers) peer.close()
  })
  // A server accepts before all its threads have started.
  await Promise.all(peers.map(peer => ask(peer, key => `mg ${key}`)))
  for (let round = 0; round < ROUNDS; round++) {
    await rush(t, peers, `missing, round ${round}`, key => `mg ${key} N300 k`)
    await tell(peers[0], key => `ms ${key} ${VALUE.length} T100 q\r\n${VALUE}`)
    await rush(t, peers, `about to end, round ${round}`, key => `mg ${key} R200 k`)
    await tell(peers[1], key => `ms ${key} ${VALUE.length} T100 q\r\n${VALUE}`)
    await tell(peers[2], key => `md ${key} I T60 q`)
    await rush(t, peers, `stale, round ${round}`, key => `mg ${key} k v`)
    await tell(peers[3], key => `md ${key} q`)
  }
  t.notOk(
    peers.some(peer => peer.closed),
    'all are still connected',
  )
})

/**
 * All peers request all keys at the same time. Every key is won once, and the others get Z.
 */
async function rush(t: Test, peers: Wire[], when: string, request: (key: string) => string) {
  const replies = await Promise.all(peers.map(peer => ask(peer, request)))
  const wins = new Map<string, number>()
  let claims = 0
  for (const line of replies.join('').split('\r\n')) {
    const key = / k(\S+)/.exec(line)?.[1]
    if (key === undefined) continue
    if (/ W$/.test(line)) wins.set(key, (wins.get(key) ?? 0) + 1)
    if (/ Z( |$)/.test(line)) claims++
  }
  const counts = [...wins.values()]
  t.ok(counts.length === KEYS && counts.every(count => count === 1), `one wins: ${when}`)
  t.equal(claims, KEYS * (peers.length - 1), `the others know: ${when}`)
}

async function tell(peer: Wire, request: (key: string) => string): Promise<void> {
  await ask(peer, request)
}

async function ask(peer: Wire, request: (key: string) => string): Promise<string> {
  const requests = Array.from({ length: KEYS }, (_, i) => `${request(`key${i}`)}\r\n`)
  peer.send(Buffer.from(`${requests.join('')}mn\r\n`))
  await peer.readUntil(Buffer.from('MN\r\n'), REPLY_MS_MAX)
  return peer.take().toString('latin1')
}
