// `lru_crawler`: crawls for expired items, and dumps of the live ones. A dump answers OK, then one
// row per item. As in memcached, it is refused after requests whose replies have not been sent yet.
// Requests sent after a dump are served after it.

import { allClasses, type ClassSet } from '../../engine/items/walk.ts'
import { CLASSES_MAX, CRAWL_SLEEP_US_MAX } from '../../engine/limits.ts'
import { Order } from '../../engine/status.ts'
import type { Conversation } from '../conversation.ts'
import { readUint32 } from '../words/numbers.ts'
import { Line } from '../words/print.ts'
import { hasRepliesBefore, line, type Speaker, wordAt } from '../words/speaker.ts'
import { tokenCount, tokenEnd, tokenStart } from '../words/tokens.ts'
import { Dump, META_DUMP, MG_DUMP } from './dump.ts'
import { noteChange } from './parameters.ts'

const BAD_CLASS = line('BADCLASS invalid class id')
const BUSY = line('BUSY currently processing crawler request')
const DISABLED = line('CLIENT_ERROR lru crawler disabled')
/** Each kind of dump, and its refusals. */
const METADUMP = {
  form: META_DUMP,
  forbidden: line('ERROR metadump not allowed'),
  pipelined: line('ERROR cannot pipeline other commands before metadump'),
}
const MGDUMP = {
  form: MG_DUMP,
  forbidden: line('ERROR key dump not allowed'),
  pipelined: line('ERROR cannot pipeline other commands before mgdump'),
}
const NOT_STARTED = line('NOTSTARTED no items to crawl')
const SLEEP_TOO_LONG = line('CLIENT_ERROR sleep must be one second or less')
const START_FAILED = line('ERROR failed to start lru crawler thread')
const UNKNOWN = line('ERROR an unknown error happened')

export function crawler(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  if (tokenCount === 2) return speaker.say(switchTo(wordAt(bytes, 1), peer))
  if (tokenCount !== 3) return speaker.say(Line.ERROR)
  switch (wordAt(bytes, 1)) {
    case 'crawl':
      return speaker.say(crawl(wordAt(bytes, 2), peer))
    case 'metadump':
      return dump(wordAt(bytes, 2), peer, speaker, METADUMP)
    case 'mgdump':
      return dump(wordAt(bytes, 2), peer, speaker, MGDUMP)
    case 'tocrawl':
      return speaker.say(setItems(bytes, peer))
    case 'sleep':
      return speaker.say(setSleep(bytes, peer))
    default:
      return speaker.say(Line.ERROR)
  }
}

function switchTo(word: string, peer: Conversation) {
  const { host } = peer
  if (word === 'enable') {
    // As in memcached, it cannot be started twice.
    if (isOn(host)) return START_FAILED
    host.cache.crawlerEnable(true)
    noteChange(peer, 'lru_crawler')
    return Line.OK
  }
  if (word !== 'disable') return Line.ERROR
  host.cache.crawlerEnable(false)
  noteChange(peer, 'lru_crawler')
  return Line.OK
}

function crawl(list: string, { host }: Conversation) {
  if (!isOn(host)) return DISABLED
  if (list === 'hash') return UNKNOWN
  const classes = classesOf(list)
  if (classes === undefined) return BAD_CLASS
  if (!classes.includes(1)) return NOT_STARTED
  switch (host.cache.crawl(classes)) {
    case Order.BUSY:
      return BUSY
    case Order.OFF:
      return DISABLED
    default:
      // Without items memcached starts a crawl that ends at once.
      return Line.OK
  }
}

function dump(list: string, peer: Conversation, speaker: Speaker, kind: typeof METADUMP): void {
  const { host } = peer
  if (!isOn(host)) return speaker.say(DISABLED)
  if (!host.allowed.dump) return speaker.say(kind.forbidden)
  if (hasRepliesBefore(peer)) return speaker.say(kind.pipelined)
  // memcached has two ways to walk. Here both names are the same walk through the pages.
  const classes = list === 'hash' ? allClasses() : classesOf(list)
  if (classes === undefined) return speaker.say(BAD_CLASS)
  if (!classes.includes(1)) return speaker.say(NOT_STARTED)
  speaker.say(Line.OK)
  peer.sendSource(new Dump(host, classes, kind.form))
}

function setItems(bytes: Buffer, peer: Conversation) {
  const items = readUint32(bytes, tokenStart[2], tokenEnd[2])
  if (items < 0) return Line.BAD_FORMAT
  peer.host.cache.setCrawlerItemsMax(Math.min(items, 2 ** 31 - 1))
  noteChange(peer, 'lru_crawler_tocrawl')
  return Line.OK
}

function setSleep(bytes: Buffer, peer: Conversation) {
  const sleepUs = readUint32(bytes, tokenStart[2], tokenEnd[2])
  if (sleepUs < 0) return Line.BAD_FORMAT
  if (sleepUs > CRAWL_SLEEP_US_MAX) return SLEEP_TOO_LONG
  peer.host.cache.setCrawlerSleepUs(sleepUs)
  noteChange(peer, 'lru_crawler_sleep')
  return Line.OK
}

/** The classes of `1,2,3` or `all`; undefined if a part is not a class. */
function classesOf(list: string): ClassSet | undefined {
  if (list === 'all') return allClasses()
  const classes = new Uint8Array(CLASSES_MAX)
  for (const word of list.split(',').filter(word => word !== '')) {
    const text = Buffer.from(word, 'latin1')
    const classId = readUint32(text, 0, text.length)
    if (classId < 1 || classId >= CLASSES_MAX) return undefined
    classes[classId] = 1
  }
  return classes
}

function isOn({ cache }: Conversation['host']): boolean {
  return cache.crawlerOn()
}
