// `memslab drain HOST:PORT --to HOST:PORT[:WEIGHT],...`: hands a server's items to their new owners, and
// says on stderr how far it is.

import { DRAIN_AT_ONCE, DRAIN_AT_ONCE_MAX, DRAIN_PROGRESS_MS } from '../limits.ts'
import { type DrainReport, drain } from './drain.ts'

const USAGE = `usage: memslab drain HOST:PORT --to HOST:PORT[:WEIGHT][,HOST:PORT[:WEIGHT]...]
hands the items of a server to those that own them among the others; it may be one of
them, then it keeps its own
  --keep           leave the items where they are too (clients are told afterwards)
  --at-once <num>  items on their way at the same time (default: ${DRAIN_AT_ONCE})
Take the server out of the pool first: clients then look on it for what is missing.`

interface Wanted {
  server: string
  to: string[]
  keep: boolean
  atOnce: number
}

/** Moves until there is nothing left; the exit code. */
export async function drainServer(words: readonly string[]): Promise<number> {
  const wanted = readWords(words)
  if (wanted === undefined) {
    process.stderr.write(`${USAGE}\n`)
    return words.includes('-h') || words.includes('--help') ? 0 : 64
  }
  const startedMs = performance.now()
  let toldMs = startedMs
  const onProgress = (report: DrainReport) => {
    if (performance.now() - toldMs < DRAIN_PROGRESS_MS) return
    toldMs = performance.now()
    process.stderr.write(`${textOf(report)}\n`)
  }
  try {
    const { server, to, keep, atOnce } = wanted
    const report = await drain(server, to, { keep, atOnce, onProgress })
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    process.stderr.write(`${textOf(report)} in ${seconds} s\n`)
    return report.failed === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`memslab drain: ${error instanceof Error ? error.message : error}\n`)
    return error instanceof RangeError ? 64 : 1
  }
}

function readWords(words: readonly string[]): Wanted | undefined {
  const wanted: Wanted = { server: '', to: [], keep: false, atOnce: DRAIN_AT_ONCE }
  const waiting = words.flatMap(word => (/^--[\w-]+=/.test(word) ? splitOnce(word) : [word]))
  for (let word = waiting.shift(); word !== undefined; word = waiting.shift()) {
    if (word === '--to') wanted.to.push(...(waiting.shift() ?? '').split(','))
    else if (word === '--keep') wanted.keep = true
    else if (word === '--at-once') wanted.atOnce = Number(waiting.shift())
    else if (word.startsWith('-') || wanted.server !== '') return undefined
    else wanted.server = word
  }
  const { server, to, atOnce } = wanted
  const isCount = Number.isInteger(atOnce) && atOnce >= 1 && atOnce <= DRAIN_AT_ONCE_MAX
  return server !== '' && to.length > 0 && isCount ? wanted : undefined
}

function splitOnce(word: string): string[] {
  const at = word.indexOf('=')
  return [word.slice(0, at), word.slice(at + 1)]
}

function textOf({ seen, moved, newer, skipped, failed }: DrainReport): string {
  const rest = `${newer} newer there, ${skipped} skipped, ${failed} failed`
  return `${moved} of ${seen} items moved, ${rest}`
}
