// `snapshot` and `snapshot cas`: all items, without or with their CAS, as a snapshot file that is
// neither compressed nor encrypted (docs/snapshot-format.md). The reply is OK and a line end, then
// the file, whose last block is its end. As dumps, it is refused after requests whose replies have
// not been sent yet, and where dumps are not allowed.

import type { Conversation } from '../conversation.ts'
import { Line } from '../words/print.ts'
import { hasRepliesBefore, line, type Speaker, wordAt } from '../words/speaker.ts'
import { tokenCount } from '../words/tokens.ts'

const FORBIDDEN = line('ERROR snapshot not allowed')
const PIPELINED = line('ERROR cannot pipeline other commands before snapshot')

export function snapshot(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const { host } = peer
  const hasCas = tokenCount === 2 && wordAt(bytes, 1) === 'cas'
  if (tokenCount !== 1 && !hasCas) return speaker.say(Line.ERROR)
  if (!host.allowed.dump) return speaker.say(FORBIDDEN)
  if (hasRepliesBefore(peer)) return speaker.say(PIPELINED)
  speaker.say(Line.OK)
  peer.sendSource(host.takeSnapshot(hasCas))
}
