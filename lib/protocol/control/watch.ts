// `watch`: from then on the connection gets lines about what all peers do. It has no `noreply`, and
// is refused after requests whose replies have not been sent yet.

import { Kind } from '../../observe/journal.ts'
import type { Conversation } from '../conversation.ts'
import { Line } from '../words/print.ts'
import { hasRepliesBefore, line, type Speaker, wordAt } from '../words/speaker.ts'
import { tokenCount } from '../words/tokens.ts'
import { Watcher } from './watcher.ts'

/** What may be watched; 0 for memcached's kinds that have no lines here. */
const KINDS: ReadonlyMap<string, number> = new Map([
  ['fetchers', Kind.FETCHERS],
  ['mutations', Kind.MUTATIONS],
  ['evictions', Kind.EVICTIONS],
  ['connevents', Kind.CONNEVENTS],
  ['deletions', Kind.DELETIONS],
  ['rawcmds', 0],
  ['sysevents', 0],
  ['proxyreqs', 0],
  ['proxyevents', 0],
  ['proxyuser', 0],
])

const NOT_ALLOWED = line('CLIENT_ERROR watch commands not allowed')
const PIPELINED = line('ERROR cannot pipeline other commands before watch')
const TOO_MANY = line('WATCHER_TOO_MANY log watcher limit reached')

export function watch(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const { journal, allowed, counters } = peer.host
  if (!allowed.watch) return speaker.say(NOT_ALLOWED)
  if (hasRepliesBefore(peer)) return speaker.say(PIPELINED)
  let kinds = tokenCount === 1 ? Kind.FETCHERS : 0
  for (let i = 1; i < tokenCount; i++) {
    const kind = KINDS.get(wordAt(bytes, i))
    if (kind === undefined) return speaker.say(Line.ERROR)
    kinds |= kind
  }
  if (!journal.addWatcher(kinds)) return speaker.say(TOO_MANY)
  speaker.say(Line.OK)
  peer.watch(new Watcher(journal, kinds, counters, allowed.watcherBufferBytes))
}
