// The lines for watchers, in memcached's format: turns a record of a log buffer into text.

import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { Mode, Status } from '../../engine/status.ts'
import { Found } from '../../observe/glance.ts'
import { CloseReason, LineType } from '../../observe/journal.ts'
import type { RingReader } from '../../observe/log-buffer.ts'
import * as R from '../../observe/log-buffer.ts'
import { encodeBytes } from '../words/ascii.ts'

const FOUND_WORDS = wordsOf({
  [Found.NOT_FOUND]: 'not_found',
  [Found.FOUND]: 'found',
  [Found.FLUSHED]: 'flushed',
  [Found.EXPIRED]: 'expired',
})
const STORED_WORDS = wordsOf({
  [Status.OK]: 'stored',
  [Status.MISS]: 'not_found',
  [Status.EXISTS]: 'exists',
  [Status.NOT_STORED]: 'not_stored',
  [Status.TOO_LARGE]: 'too_large',
  [Status.NO_MEMORY]: 'no_memory',
})
const MODE_WORDS = wordsOf({
  [Mode.SET]: 'set',
  [Mode.ADD]: 'add',
  [Mode.REPLACE]: 'replace',
  [Mode.APPEND]: 'append',
  [Mode.PREPEND]: 'prepend',
  [Mode.CAS]: 'cas',
})
const REASON_WORDS = wordsOf({
  [CloseReason.ERROR]: 'error',
  [CloseReason.NORMAL]: 'normal',
  [CloseReason.IDLE_TIMEOUT]: 'idle_timeout',
  [CloseReason.SHUTDOWN]: 'shutdown',
})
const DELETE_WORDS = ['delete', 'md']

/** The line of the last record read, with its line end. */
export function lineOf(reader: RingReader): string {
  const seconds = Math.floor(reader.timeMs / 1000)
  const microseconds = Math.floor((reader.timeMs - seconds * 1000) * 1000)
  return `ts=${seconds}.${microseconds} gid=${reader.number} ${eventOf(reader)}\n`
}

const encoded = Buffer.allocUnsafe(3 * KEY_BYTES_MAX)

/** A key as in log lines, percent-encoded. */
function encodeKey(bytes: Buffer, start: number, end: number): string {
  return encoded.toString('latin1', 0, encodeBytes(bytes, start, end, encoded, 0))
}

function eventOf({ words, area, textAt }: RingReader): string {
  const codes = words[R.CODES]
  const status = codes & 0xff
  const command = (codes >>> 8) & 0xff
  const clsid = `clsid=${(codes >>> 16) & 0xff}`
  const size = `size=${words[R.SIZE]}`
  const cfd = `cfd=${words[R.PEER]}`
  const textEnd = textAt + (codes >>> 24)
  const key = () => `key=${encodeKey(area.bytes, textAt, textEnd)}`
  const from = () => originOf(area.bytes.toString('latin1', textAt, textEnd))
  switch (words[R.TYPE]) {
    case LineType.ITEM_GET:
      return `type=item_get ${key()} status=${FOUND_WORDS[status]} ${clsid} ${cfd} ${size}`
    case LineType.ITEM_STORE: {
      const what = `status=${STORED_WORDS[status]} cmd=${MODE_WORDS[command]}`
      return `type=item_store ${key()} ${what} ttl=${words[R.TTL_S] >>> 0} ${clsid} ${cfd} ${size}`
    }
    case LineType.EVICTION: {
      const ages = `ttl=${words[R.TTL_S]} la=${words[R.IDLE_S]}`
      return `type=eviction ${key()} fetch=${status === 1 ? 'yes' : 'no'} ${ages} ${clsid} ${size}`
    }
    case LineType.DELETED:
      return `type=deleted ${key()} cmd=${DELETE_WORDS[command]} ${clsid} ${size}`
    case LineType.CONN_NEW:
      return `type=conn_new ${from()} ${cfd}`
    default:
      return `type=conn_close ${from()} reason=${REASON_WORDS[status]} ${cfd}`
  }
}

/** `tcp:127.0.0.1:1234`, `tcp6:[::1]:1234`, `unix:...` as the fields of a line. */
function originOf(address: string): string {
  const [, transport, ip, bracketed, port] =
    /^(tcp|udp)6?:(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(address) ?? []
  if (transport === undefined) return 'rip=unix rport=0 transport=local'
  return `rip=${ip ?? bracketed} rport=${port} transport=${transport}`
}

function wordsOf(words: Record<number, string>): readonly string[] {
  return Object.assign([], words)
}
