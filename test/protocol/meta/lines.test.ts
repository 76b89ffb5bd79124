// A well-formed meta line is read in one pass, any other line word by word; with -vv all lines are
// read word by word. Both mean the same.

import t from 'tap'
import { STARTED_AT_S } from '../../../lib/engine/arena/layout.ts'
import { Control } from '../../../lib/protocol/host.ts'
import { randomMetaSession, resetMetaKeys } from '../../support/meta-session.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { createHost, Peer, verifyAll } from '../../support/server-session.ts'

const COMMANDS = 20_000
const STARTED_AT = 1_700_000_000
/** Sent after a command: consumed with the value if its length is wrong, else an error each. */
const RESYNC = '\r\n\r\n\r\n'

const seed = announceSeed(t)

t.test('a line means the same however it is read', async t => {
  const hosts = [createHost(), createHost()]
  // The same start, so that absolute times are equally far away.
  for (const { cache } of hosts) cache.shards[0].arena.words[STARTED_AT_S] = STARTED_AT
  const [whole, words] = hosts.map(host => new Peer(host))
  hosts[1].control[Control.VERBOSITY] = 2
  for (const peer of [whole, words]) peer.feed(Buffer.from(resetMetaKeys()))
  let alike = 0
  for (const command of randomMetaSession(createRandom(seed), COMMANDS)) {
    const bytes = Buffer.from(command + RESYNC, 'latin1')
    whole.feed(bytes)
    words.feed(bytes)
    // The commands may have changed it.
    hosts[1].control[Control.VERBOSITY] = 2
    const [reply, wanted] = [whole, words].map(peer => peer.take().toString('latin1'))
    if (reply === wanted) alike++
    else t.equal(reply, wanted, JSON.stringify(command))
    if (reply !== wanted) break
  }
  t.equal(alike, COMMANDS)
  for (const host of hosts) verifyAll(host)
})
