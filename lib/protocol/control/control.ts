// Operators' commands in the text protocol: they are about the daemon, not about one item. Their
// words are in tokens.ts. Extra words are ignored, and `noreply` as the last word silences a
// command, except `stats`, `version`, `watch`, `config` and `snapshot`. These commands are rare and
// may allocate.

import { Status } from '../../engine/status.ts'
import type { Conversation } from '../conversation.ts'
import { flushAll } from '../execute.ts'
import { refusalOf } from '../guarded.ts'
import { Control, ThreadCounter, VERBOSITY_MAX } from '../host.ts'
import { needsOfControl } from '../needs.ts'
import { readInt32, readUint32 } from '../words/numbers.ts'
import { failedLine, Line } from '../words/print.ts'
import { type Speaker, wordAt } from '../words/speaker.ts'
import { endsWithNoreply, tokenCount, tokenEnd, tokenStart } from '../words/tokens.ts'
import { Verb } from '../words/verbs.ts'
import { crawler } from './crawler.ts'
import { config, refuseBody, shutdown } from './daemon.ts'
import { lru, memoryLimit, slabs } from './memory.ts'
import { noteChange } from './parameters.ts'
import { PendingAnswer } from './pending-answer.ts'
import { snapshot } from './snapshot.ts'
import { stats } from './stats.ts'
import { watch } from './watch.ts'

/** The commands without `noreply`. */
const ANSWERED: ReadonlySet<Verb> = new Set([
  Verb.STATS,
  Verb.VERSION,
  Verb.WATCH,
  Verb.CONFIG,
  Verb.SNAPSHOT,
])

/** Runs the command whose line is in `bytes`. */
export function runControl(verb: Verb, bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  peer.request.noreply = !ANSWERED.has(verb) && endsWithNoreply(bytes)
  const status = refusalOf(peer.pass, needsOfControl(verb, wordAt(bytes, 1)))
  if (status !== Status.OK) {
    const line = failedLine(status)
    // Its body would otherwise be read as commands.
    if (verb === Verb.CONFIG && refuseBody(bytes, peer, line)) return
    return speaker.say(line)
  }
  switch (verb) {
    case Verb.FLUSH_ALL:
      return flush(bytes, peer, speaker)
    case Verb.STATS:
      return stats(bytes, peer, speaker)
    case Verb.VERSION:
      return peer.sendTail(Buffer.from(`VERSION ${peer.host.version}\r\n`))
    case Verb.VERBOSITY:
      return verbosity(bytes, peer, speaker)
    case Verb.WATCH:
      return watch(bytes, peer, speaker)
    case Verb.LRU_CRAWLER:
      return crawler(bytes, peer, speaker)
    case Verb.SLABS:
      return slabs(bytes, peer, speaker)
    case Verb.LRU:
      return lru(bytes, peer, speaker)
    case Verb.CACHE_MEMLIMIT:
      return memoryLimit(bytes, peer, speaker)
    case Verb.SHUTDOWN:
      return shutdown(bytes, peer, speaker)
    case Verb.CONFIG:
      return config(bytes, peer, speaker)
    case Verb.SNAPSHOT:
      return snapshot(bytes, peer, speaker)
    case Verb.REFRESH_CERTS:
      return refreshCertificates(peer)
    default:
      return speaker.say(Line.ERROR)
  }
}

function refreshCertificates(peer: Conversation): void {
  const answer = new PendingAnswer()
  const { noreply } = peer.request
  peer.host.refreshCertificates(fault => {
    const reply = fault ?? (noreply ? '' : 'OK')
    answer.settle(Buffer.from(reply === '' ? '' : `${reply}\r\n`))
  })
  peer.sendSource(answer)
}

function flush(bytes: Buffer, { host, request }: Conversation, speaker: Speaker): void {
  host.counters[ThreadCounter.CMD_FLUSH]++
  if (!host.flushAllowed) return speaker.say(Line.FLUSH_DISABLED)
  let exptime = 0
  if (tokenCount !== (request.noreply ? 2 : 1)) {
    exptime = readInt32(bytes, tokenStart[1], tokenEnd[1])
    if (Number.isNaN(exptime)) return speaker.say(Line.BAD_EXPTIME)
  }
  flushAll(host.cache, exptime)
  speaker.say(Line.OK)
}

function verbosity(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const level = tokenCount < 2 ? -1 : readUint32(bytes, tokenStart[1], tokenEnd[1])
  if (level < 0) return speaker.say(Line.BAD_FORMAT)
  peer.host.control[Control.VERBOSITY] = Math.min(level, VERBOSITY_MAX)
  noteChange(peer, 'verbosity')
  speaker.say(Line.OK)
}
