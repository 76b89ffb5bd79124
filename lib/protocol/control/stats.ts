// `stats`: its reports, and `reset`, `detail` and `cachedump`.

import { CLASSES_MAX } from '../../engine/limits.ts'
import { resetSketches } from '../../observe/hot-sketch.ts'
import { countPrefixes } from '../../observe/journal.ts'
import { resetLatencies } from '../../observe/latency.ts'
import type { Conversation } from '../conversation.ts'
import type { Host } from '../host.ts'
import { reportStats } from '../report/report.ts'
import { encodeControls } from '../words/ascii.ts'
import { readUint32 } from '../words/numbers.ts'
import { Line } from '../words/print.ts'
import { line, type Speaker, wordAt } from '../words/speaker.ts'
import { tokenCount, tokenEnd, tokenStart } from '../words/tokens.ts'
import { dumpColdItems } from './dump.ts'
import { noteChange } from './parameters.ts'

const DETAIL_REFUSED = line('CLIENT_ERROR stats detail not allowed')
const DETAIL_USAGE = line('CLIENT_ERROR usage: stats detail on|off|dump')
const HOTKEYS_REFUSED = line('CLIENT_ERROR stats hotkeys not allowed')
const PREFIX_REFUSED = line('CLIENT_ERROR stats prefix not allowed')
const PREFIX_OFF = line('CLIENT_ERROR stats prefix needs -o mrc or --admin')
const CURVE_OFF = line('CLIENT_ERROR stats mrc needs -o mrc or --admin')
const CACHEDUMP_REFUSED = line('CLIENT_ERROR stats cachedump not allowed')
const CACHEDUMP_USAGE = line('CLIENT_ERROR bad command line')
const BAD_CLASS = line('CLIENT_ERROR Illegal slab id')

export function stats(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const { host } = peer
  const name = wordAt(bytes, 1)
  switch (name) {
    case 'reset':
      resetStats(host)
      return speaker.say(Line.RESET)
    case 'detail':
      return detail(wordAt(bytes, 2), peer, speaker)
    case 'cachedump':
      return cachedump(bytes, peer, speaker)
    case 'hotkeys':
      // They contain keys, so -X refuses them like dumps.
      if (!host.allowed.dump) return speaker.say(HOTKEYS_REFUSED)
      break
    case 'prefix':
      if (!host.allowed.dump) return speaker.say(PREFIX_REFUSED)
      if (!host.sampler.isOn) return speaker.say(PREFIX_OFF)
      break
    case 'mrc':
      if (!host.sampler.isOn) return speaker.say(CURVE_OFF)
      break
  }
  const report = reportStats(host, name, peer.id)
  if (report === null) return speaker.say(Line.ERROR)
  peer.sendTail(Buffer.from(report, 'latin1'))
}

/** Zeroes what `stats reset` zeroes. */
export function resetStats({ cache, facts, journal, hotKeys, latency }: Host): void {
  for (const shard of cache.shards) shard.resetStats()
  journal.prefixes.clear()
  resetSketches(hotKeys.handle)
  resetLatencies(latency.handle)
  facts.reset()
}

/** Every key prefix with its counts, END included. */
export function dumpPrefixes({ journal }: Host): Buffer {
  const rows = [...journal.prefixes.lines()].map(withoutControls)
  return Buffer.from(`${rows.join('')}END\r\n`, 'latin1')
}

/** A row with percent-encoded control characters, except for its line end. */
function withoutControls(row: string): string {
  const from = Buffer.from(row, 'latin1')
  const to = Buffer.allocUnsafe(3 * from.length)
  return `${to.toString('latin1', 0, encodeControls(from, 0, from.length - 2, to, 0))}\r\n`
}

function detail(word: string, peer: Conversation, speaker: Speaker): void {
  const { allowed, journal } = peer.host
  if (!allowed.dump) return speaker.say(DETAIL_REFUSED)
  switch (word) {
    case 'on':
    case 'off':
      countPrefixes(journal.handle, word === 'on')
      noteChange(peer, 'detail_enabled')
      return speaker.say(Line.OK)
    case 'dump':
      return peer.sendTail(dumpPrefixes(peer.host))
    default:
      return speaker.say(DETAIL_USAGE)
  }
}

function cachedump(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const { allowed, cache } = peer.host
  if (!allowed.dump) return speaker.say(CACHEDUMP_REFUSED)
  if (tokenCount < 4) return speaker.say(CACHEDUMP_USAGE)
  const classId = readUint32(bytes, tokenStart[2], tokenEnd[2])
  const itemsMax = readUint32(bytes, tokenStart[3], tokenEnd[3])
  if (classId < 0 || itemsMax < 0) return speaker.say(Line.BAD_FORMAT)
  if (classId >= CLASSES_MAX) return speaker.say(BAD_CLASS)
  peer.sendTail(dumpColdItems(cache.shards, classId, itemsMax))
}
