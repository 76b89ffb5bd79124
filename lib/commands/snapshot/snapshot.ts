// `memslab snapshot`: takes one of a running server, and looks at files.

import { LEVEL_DEFAULT, LEVEL_MAX } from '../../keeping/snapshot/blocks.ts'
import { type SnapshotReader, verifySnapshot } from '../../keeping/snapshot/reader.ts'
import { readSecret } from '../../keeping/snapshot/seal.ts'
import { failed, Misused, type Parsed, readArguments, runCommand } from '../command-line.ts'
import { Progress } from '../progress.ts'
import { StatsLink } from '../servers/stats-link.ts'
import { ACCESS_SWITCHES, ACCESS_USAGE, accessOf, serversOf } from '../servers/watch-switches.ts'
import { exportSnapshot } from './export.ts'
import { takeSnapshot } from './take.ts'

const USAGE = `usage: memslab snapshot HOST:PORT --to FILE
writes the items of a running memslab into a file, while it serves
  --key <file>     encrypt it with the key in this file
  --cas            with the CAS numbers of the items
  --level <num>    compress it at this level of zstd (default: ${LEVEL_DEFAULT}; 0: not)
${ACCESS_USAGE}
or: memslab snapshot inspect FILE    what the file says of itself, after it was verified
    memslab snapshot verify FILE     whether it is sound: exit code 0, or 1
    memslab snapshot export FILE     its items on standard output, one a line
  --key <file>     the key of an encrypted file
  --format <name>  export: json or csv (default: json)
  --no-values      export: without the values`

/** What is done with a file. */
type FileWork = (path: string, secret: Buffer | null, parsed: Parsed) => Promise<number>

const FILE_WORK: Readonly<Record<string, FileWork>> = { inspect, verify, export: exportFile }

/** Returns the exit code. */
export function runSnapshot(words: readonly string[]): Promise<number> {
  process.stderr.on('error', () => {})
  return runCommand(USAGE, words, async () => {
    const parsed = await readArguments(words, {
      ...ACCESS_SWITCHES,
      to: { type: 'string', requiresArg: true },
      key: { type: 'string', requiresArg: true },
      cas: { type: 'boolean', default: false },
      level: { type: 'number', default: LEVEL_DEFAULT, requiresArg: true },
      format: { type: 'string', default: 'json', choices: ['json', 'csv'], requiresArg: true },
      values: { type: 'boolean', default: true },
    })
    const [first = '', ...rest] = parsed.words
    const work = Object.hasOwn(FILE_WORK, first) ? FILE_WORK[first] : undefined
    if (rest.length !== (work === undefined ? 0 : 1)) throw new Misused()
    try {
      const key = parsed.text('key')
      const secret = key === undefined ? null : readSecret(key)
      return await (work === undefined ? take(parsed, secret) : work(rest[0], secret, parsed))
    } catch (error) {
      return failed(`snapshot: ${rest[0] ?? first}`, error)
    }
  })
}

async function take(parsed: Parsed, secret: Buffer | null): Promise<number> {
  const path = parsed.text('to')
  const level = parsed.number('level')
  if (path === undefined) throw new Misused('--to names the file')
  if (!Number.isInteger(level) || level < 0 || level > LEVEL_MAX) {
    throw new Misused(`--level takes a whole number from 0 to ${LEVEL_MAX}`)
  }
  const [{ name, node }] = serversOf(parsed)
  const access = accessOf(parsed)
  const stats = new StatsLink(node, access)
  const [general] = await stats.ask([''])
  stats.close()
  const items = Number(general?.get('curr_items') ?? 0)
  const progress = new Progress(name)
  const onProgress = (records: number) =>
    progress.show(items === 0 ? null : records / items, `${records} items`)
  const order = {
    server: node,
    access,
    path,
    hasCas: parsed.flag('cas'),
    secret,
    level,
    onProgress,
  }
  const startedMs = performance.now()
  const { totals, bytes } = await takeSnapshot(order).finally(() => progress.end())
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  process.stderr.write(`${totals.records} items, ${bytes} bytes in ${seconds} s: ${path}\n`)
  return 0
}

async function inspect(path: string, secret: Buffer | null): Promise<number> {
  const reader = verified(path, secret)
  const { header, totals, fileBytes, units } = reader
  const rows = [
    ['begun', new Date(header.begun.wallMs).toISOString()],
    ['complete', new Date(totals.endedMs).toISOString()],
    ['items', totals.records],
    ['keys and values', `${totals.itemBytes} bytes`],
    ['file', `${fileBytes} bytes, ${units.length} blocks`],
    ['CAS', header.hasCas ? 'yes' : 'no'],
    ['encrypted', header.isSealed ? 'yes' : 'no'],
  ]
  process.stdout.write(rows.map(([name, value]) => `${name}: ${value}\n`).join(''))
  return 0
}

async function verify(path: string, secret: Buffer | null): Promise<number> {
  const { totals } = verified(path, secret)
  process.stdout.write(`${path} is sound: ${totals.records} items\n`)
  return 0
}

async function exportFile(path: string, secret: Buffer | null, parsed: Parsed): Promise<number> {
  verified(path, secret)
  const format = parsed.text('format') === 'csv' ? 'csv' : 'json'
  await exportSnapshot(path, secret, format, parsed.flag('values'), process.stdout)
  return 0
}

function verified(path: string, secret: Buffer | null): SnapshotReader {
  const progress = new Progress('verify')
  try {
    return verifySnapshot(path, secret, share => progress.show(share))
  } finally {
    progress.end()
  }
}
