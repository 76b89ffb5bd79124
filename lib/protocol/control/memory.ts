// Commands that change the use of memory: `slabs`, `lru` and `cache_memlimit`.

import { MIB } from '../../bytes/units.ts'
import { EVICTIONS } from '../../engine/limits.ts'
import { Order } from '../../engine/status.ts'
import type { Conversation } from '../conversation.ts'
import { Control, FREE_RATIO_UNITS } from '../host.ts'
import { parseDecimal } from '../words/ascii.ts'
import { readInt32, readUint32 } from '../words/numbers.ts'
import { Line } from '../words/print.ts'
import { line, type Speaker, wordAt } from '../words/speaker.ts'
import { tokenCount, tokenEnd, tokenStart } from '../words/tokens.ts'
import {
  AUTOMOVE_MAX,
  LISTS_PERCENT_MAX,
  MEGABYTES_MIN,
  noteChange,
  WINDOW_S_MAX,
  WINDOW_S_MIN,
} from './parameters.ts'

/** Most of `cache_memlimit`, megabytes. */
const MEGABYTES_MAX = 1_000_000_000

const REASSIGN_OFF = line('CLIENT_ERROR slab reassignment disabled')
const REASSIGN_BUSY = line('BUSY currently processing reassign request')
const REASSIGN_BAD_CLASS = line('BADCLASS invalid src or dst class id')
const REASSIGN_NO_SPARE = line('NOSPARE source class has no spare pages')
const REASSIGN_SAME = line('SAME src and dst class are identical')
const TOO_MUCH_PERCENT = line(`ERROR hot and warm pcts must not exceed ${LISTS_PERCENT_MAX}`)
const BAD_FACTOR = line('ERROR hot/warm age factors must be greater than 0')
const LIMIT_TOO_SMALL = line('MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m')
const LIMIT_IN_BYTES = line('MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes')
const LIMIT_REFUSED = line('MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust')

const BAD_WINDOW = line('CLIENT_ERROR automove window too low or too high')

export function slabs(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const word = wordAt(bytes, 1)
  if (word === 'reassign' && tokenCount === 4) return speaker.say(reassign(bytes, peer))
  if (word !== 'automove' || tokenCount < 3) return speaker.say(Line.ERROR)
  speaker.say(automove(bytes, peer))
}

function reassign(bytes: Buffer, { host }: Conversation) {
  if (!host.cache.reassignOn()) return REASSIGN_OFF
  const from = readInt32(bytes, tokenStart[2], tokenEnd[2])
  const to = readInt32(bytes, tokenStart[3], tokenEnd[3])
  if (Number.isNaN(from) || Number.isNaN(to)) return Line.BAD_FORMAT
  switch (host.cache.reassignPage(from, to)) {
    case Order.OK:
      return Line.OK
    case Order.BUSY:
      return REASSIGN_BUSY
    case Order.SAME:
      return REASSIGN_SAME
    case Order.BAD_CLASS:
      return REASSIGN_BAD_CLASS
    default:
      return REASSIGN_NO_SPARE
  }
}

function automove(bytes: Buffer, peer: Conversation) {
  switch (wordAt(bytes, 2)) {
    case 'ratio':
    case 'freeratio':
      return setAutomoveRatio(bytes, peer)
    case 'window':
      return setAutomoveWindow(bytes, peer)
  }
  const mode = readUint32(bytes, tokenStart[2], tokenEnd[2])
  if (mode < 0) return Line.BAD_FORMAT
  if (mode > AUTOMOVE_MAX) return Line.ERROR
  peer.host.cache.setAutomove(mode)
  noteChange(peer, 'slab_automove')
  return Line.OK
}

/**
 * The free ratio is for external storage, which memslab does not have: it is only kept and shown.
 */
function setAutomoveRatio(bytes: Buffer, peer: Conversation) {
  const ratio = tokenCount < 4 ? Number.NaN : parseDecimal(bytes, tokenStart[3], tokenEnd[3])
  if (Number.isNaN(ratio)) return Line.ERROR
  const { cache, control } = peer.host
  const isRatio = wordAt(bytes, 2) === 'ratio'
  if (isRatio) cache.setAutomoveRatio(ratio)
  else control[Control.AUTOMOVE_FREE_RATIO] = 1 + Math.round(ratio * FREE_RATIO_UNITS)
  noteChange(peer, isRatio ? 'slab_automove_ratio' : 'slab_automove_freeratio')
  return Line.OK
}

function setAutomoveWindow(bytes: Buffer, peer: Conversation) {
  const windowS = tokenCount < 4 ? -1 : readUint32(bytes, tokenStart[3], tokenEnd[3])
  if (windowS < 0) return Line.BAD_FORMAT
  if (windowS < WINDOW_S_MIN || windowS > WINDOW_S_MAX) return BAD_WINDOW
  peer.host.cache.setAutomoveWindowS(windowS)
  noteChange(peer, 'slab_automove_window')
  return Line.OK
}

export function lru(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  if (tokenCount < 2) return speaker.say(Line.ERROR)
  const word = wordAt(bytes, 1)
  const isKept = peer.host.cache.maintainerOn()
  if (word === 'tune' && tokenCount >= 6) return speaker.say(tune(bytes, peer))
  if (!isKept || tokenCount < 3) return speaker.say(Line.ERROR)
  if (word === 'mode') return speaker.say(setMode(wordAt(bytes, 2), peer))
  if (word === 'temp_ttl') return speaker.say(setTemporaryTtl(bytes, peer))
  speaker.say(Line.ERROR)
}

function tune(bytes: Buffer, peer: Conversation) {
  const [hot, warm] = [2, 3].map(i => readUint32(bytes, tokenStart[i], tokenEnd[i]))
  const [hotFactor, warmFactor] = [4, 5].map(i => parseDecimal(bytes, tokenStart[i], tokenEnd[i]))
  if (hot < 0 || warm < 0 || Number.isNaN(hotFactor + warmFactor)) return Line.ERROR
  if (hot + warm > LISTS_PERCENT_MAX) return TOO_MUCH_PERCENT
  if (hotFactor <= 0 || warmFactor <= 0) return BAD_FACTOR
  peer.host.cache.tuneLists(hot, warm, hotFactor, warmFactor)
  noteChange(peer, 'hot_lru_pct', 'warm_lru_pct', 'hot_max_factor', 'warm_max_factor')
  return Line.OK
}

function setMode(word: string, peer: Conversation) {
  const eviction = EVICTIONS.find(name => name === (word === 'flat' ? 'lru' : word))
  if (eviction === undefined || word === 'lru') return Line.ERROR
  peer.host.cache.setEviction(eviction)
  noteChange(peer, 'eviction')
  return Line.OK
}

function setTemporaryTtl(bytes: Buffer, peer: Conversation) {
  const ttlS = readInt32(bytes, tokenStart[2], tokenEnd[2])
  if (Number.isNaN(ttlS)) return Line.ERROR
  peer.host.cache.setTemporaryTtlS(ttlS)
  noteChange(peer, 'temporary_ttl')
  return Line.OK
}

export function memoryLimit(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  speaker.say(limitMemory(bytes, peer))
}

function limitMemory(bytes: Buffer, peer: Conversation) {
  const { host } = peer
  const megabytes = tokenCount < 2 ? -1 : readUint32(bytes, tokenStart[1], tokenEnd[1])
  if (megabytes < 0) return Line.ERROR
  if (megabytes < MEGABYTES_MIN) return LIMIT_TOO_SMALL
  if (megabytes > MEGABYTES_MAX) return LIMIT_IN_BYTES
  if (host.cache.setMemoryLimit(megabytes * MIB) !== Order.OK) return LIMIT_REFUSED
  noteChange(peer, 'maxbytes')
  if (host.control[Control.VERBOSITY] > 0) host.log(`maxbytes adjusted to ${megabytes}m`)
  return Line.OK
}
