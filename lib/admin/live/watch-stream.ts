// The lines of `watch` as an event stream. A look takes a bounded number of records of the log
// buffers; what it leaves is counted, and what is overwritten meanwhile is in the lines, as
// `skipped=`.

import type { ServerResponse } from 'node:http'
import { Kind } from '../../observe/journal.ts'
import { Watcher } from '../../protocol/control/watcher.ts'
import type { Host } from '../../protocol/host.ts'
import { WATCH_LINES_MAX, WATCH_MS } from '../limits.ts'
import { eventText, type Listeners } from './broadcast.ts'

const KINDS: ReadonlyMap<string, number> = new Map([
  ['fetchers', Kind.FETCHERS],
  ['mutations', Kind.MUTATIONS],
  ['evictions', Kind.EVICTIONS],
  ['connevents', Kind.CONNEVENTS],
  ['deletions', Kind.DELETIONS],
])

/** The kinds in `fetchers,evictions`; 0 if a word is unknown or there is none. */
export function kindsOf(text: string): number {
  let kinds = 0
  for (const word of text.split(',')) {
    const kind = KINDS.get(word)
    if (kind === undefined) return 0
    kinds |= kind
  }
  return kinds
}

/** Sends lines of these kinds until the peer goes; false if there are too many watchers. */
export function streamLines(
  response: ServerResponse,
  kinds: number,
  { journal, counters, allowed }: Host,
  listeners: Listeners,
): boolean {
  if (!journal.addWatcher(kinds)) return false
  if (!listeners.add(response)) {
    journal.dropWatcher(kinds)
    return false
  }
  const watcher = new Watcher(journal, kinds, counters, allowed.watcherBufferBytes)
  const timer = setInterval(() => listeners.send(response, textOf(watcher.next())), WATCH_MS)
  response.once('close', () => {
    clearInterval(timer)
    watcher.close()
  })
  listeners.send(response, eventText('lines', { lines: [], leftOut: 0 }))
  return true
}

/** The last lines of a look: the newest are worth most. A comment keeps an idle stream open. */
function textOf(piece: Buffer): string {
  if (piece.length === 0) return ':\n\n'
  const lines = piece.toString('latin1').trimEnd().split('\n')
  const shown = lines.slice(-WATCH_LINES_MAX)
  return eventText('lines', { lines: shown, leftOut: lines.length - shown.length })
}
