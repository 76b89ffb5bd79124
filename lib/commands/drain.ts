// `memslab drain HOST:PORT --to HOST:PORT[:WEIGHT],...`: moves a server's items to their new owners
// and reports its progress on stderr.

import { type DrainReport, drain } from '../client/drain/drain.ts'
import { DRAIN_AT_ONCE, DRAIN_AT_ONCE_MAX, DRAIN_PROGRESS_MS } from '../client/limits.ts'
import { CacheError } from '../doors/errors.ts'
import { EX_USAGE, Misused, readArguments, runCommand } from './command-line.ts'
import { serversIn } from './found-servers.ts'

const USAGE = `usage: memslab drain HOST:PORT --to HOST:PORT[:WEIGHT][,HOST:PORT[:WEIGHT]...]
hands the items of a server to those that own them among the others; it may be one of
them, then it keeps its own
  --to dns:NAME[:PORT] | srv:NAME | etcd:URL,...
                   the servers that clients find there now, without this one
  --keep           leave the items where they are too (clients get the new list later)
  --at-once <num>  items on their way at the same time (default: ${DRAIN_AT_ONCE})
Take the server out of the pool first: clients then look on it for what is missing.`

/** The arguments. `to`: each names servers, see serversIn. */
interface DrainOrder {
  server: string
  to: string[]
  keep: boolean
  atOnce: number
}

/** Returns the exit code. */
export function runDrain(words: readonly string[]): Promise<number> {
  // It goes on where nobody reads its progress.
  process.stderr.on('error', () => {})
  return runCommand(USAGE, words, async () => {
    const parsed = await readArguments(words, {
      to: { type: 'string', array: true },
      keep: { type: 'boolean', default: false },
      'at-once': { type: 'number', default: DRAIN_AT_ONCE },
    })
    const atOnce = parsed.number('at-once')
    const isCount = Number.isInteger(atOnce) && atOnce >= 1 && atOnce <= DRAIN_AT_ONCE_MAX
    const to = parsed.texts('to')
    const [server, ...others] = parsed.words
    if (server === undefined || others.length > 0 || to.length === 0 || !isCount) {
      throw new Misused()
    }
    return drainServer({ server, to, keep: parsed.flag('keep'), atOnce })
  })
}

/** Moves all items. Returns the exit code. */
async function drainServer({ server, to, keep, atOnce }: DrainOrder): Promise<number> {
  const startedMs = performance.now()
  let toldMs = startedMs
  const onProgress = (report: DrainReport) => {
    if (performance.now() - toldMs < DRAIN_PROGRESS_MS) return
    toldMs = performance.now()
    process.stderr.write(`${textOf(report)}\n`)
  }
  try {
    const lists = await Promise.all(to.map(text => serversIn(text, server)))
    const report = await drain(server, lists.flat(), { keep, atOnce, onProgress })
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    process.stderr.write(`${textOf(report)} in ${seconds} s\n`)
    return report.failed === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`memslab drain: ${error instanceof Error ? error.message : error}\n`)
    return error instanceof CacheError && error.code === 'ARGUMENT' ? EX_USAGE : 1
  }
}

function textOf({ seen, moved, newer, skipped, failed }: DrainReport): string {
  const rest = `${newer} newer there, ${skipped} skipped, ${failed} failed`
  return `${moved} of ${seen} items moved, ${rest}`
}
