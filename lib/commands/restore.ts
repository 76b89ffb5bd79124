// `memslab restore FILE HOST:PORT`: fills a running server from a snapshot.

import { readSecret } from '../keeping/snapshot/seal.ts'
import { failed, Misused, readArguments, runCommand } from './command-line.ts'
import { type FillReport, fillFromFile } from './servers/fill-from-file.ts'
import { ACCESS_SWITCHES, ACCESS_USAGE, accessOf, serversOf } from './servers/watch-switches.ts'

const USAGE = `usage: memslab restore FILE HOST:PORT
adds the items of a snapshot to a running server, memslab or memcached 1.6; what the
server has of a key already stays
  --key <file>     the key of an encrypted snapshot
  --rate <num>     items a second, at most (default: 0, as many as go)
${ACCESS_USAGE}`

/** Returns the exit code. */
export function runRestore(words: readonly string[]): Promise<number> {
  process.stderr.on('error', () => {})
  return runCommand(USAGE, words, async () => {
    const parsed = await readArguments(words, {
      ...ACCESS_SWITCHES,
      key: { type: 'string', requiresArg: true },
      rate: { type: 'number', default: 0, requiresArg: true },
    })
    const [path, ...servers] = parsed.words
    if (path === undefined || servers.length !== 1 || parsed.number('rate') < 0) throw new Misused()
    const [{ node }] = serversOf({ ...parsed, words: servers })
    const key = parsed.text('key')
    const startedMs = performance.now()
    try {
      const report = await fillFromFile({
        path,
        secret: key === undefined ? null : readSecret(key),
        server: node,
        access: accessOf(parsed),
        hottestFirst: false,
        rate: parsed.number('rate'),
        wants: () => true,
      })
      process.stderr.write(`${textOf(report, startedMs)}\n`)
      return report.refused === 0 ? 0 : 1
    } catch (error) {
      return failed(`restore: ${path}`, error)
    }
  })
}

/** Of a fill from a snapshot. */
export function textOf({ stored, newer, expired, refused }: FillReport, startedMs: number): string {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const rest = `${newer} were there, ${expired} expired, ${refused} refused`
  return `${stored} items stored in ${seconds} s, ${rest}`
}
