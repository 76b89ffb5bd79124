// `memslab warm HOST:PORT --from ...`: fills a node before clients come to it.

import { type WarmReport, warm } from '../client/drain/warm.ts'
import { DRAIN_AT_ONCE, DRAIN_AT_ONCE_MAX } from '../client/limits.ts'
import { parseServer } from '../client/members/servers.ts'
import { addressText, type ConnectionOptions } from '../client/nodes/connection.ts'
import {
  createRing,
  ownerOf,
  RING_KINDS,
  type RingKind,
  type RingNode,
} from '../client/ring/ring.ts'
import { CacheError } from '../doors/errors.ts'
import { readSecret } from '../keeping/snapshot/seal.ts'
import { failed, Misused, type Parsed, readArguments, runCommand } from './command-line.ts'
import { Progress } from './progress.ts'
import { textOf } from './restore.ts'
import { fillFromFile } from './servers/fill-from-file.ts'
import type { Access } from './servers/stats-link.ts'
import { ACCESS_SWITCHES, ACCESS_USAGE, accessOf } from './servers/watch-switches.ts'

const RATE = 10_000

const USAGE = `usage: memslab warm HOST:PORT --from FILE|HOST:PORT[,HOST:PORT...]
fills a node from a snapshot, or from other nodes, memslab or memcached 1.6: the items that
the ring gives it, the ones used last first, and nothing that it has already
  --pool <list>    the servers of the pool, the node among them, HOST:PORT[:WEIGHT],...
                   (default: the node and those of --from)
  --all            all items, whoever owns them
  --ring <name>    ${RING_KINDS.join(', ')} (default: libmemcached)
  --rate <num>     items a second, at most (default: ${RATE}; 0: as many as go)
  --at-once <num>  items of other nodes on their way at the same time (default: ${DRAIN_AT_ONCE})
  --key <file>     the key of an encrypted snapshot
${ACCESS_USAGE}`

type Owns = (key: string) => boolean

/** Returns the exit code. */
export function runWarm(words: readonly string[]): Promise<number> {
  process.stderr.on('error', () => {})
  return runCommand(USAGE, words, async () => {
    const parsed = await readArguments(words, {
      ...ACCESS_SWITCHES,
      from: { type: 'string', array: true },
      pool: { type: 'string', array: true },
      all: { type: 'boolean', default: false },
      ring: { type: 'string', default: 'libmemcached', choices: RING_KINDS, requiresArg: true },
      rate: { type: 'number', default: RATE, requiresArg: true },
      'at-once': { type: 'number', default: DRAIN_AT_ONCE, requiresArg: true },
      key: { type: 'string', requiresArg: true },
    })
    const from = parsed.texts('from').flatMap(list => list.split(','))
    const [name, ...others] = parsed.words
    const atOnce = parsed.number('at-once')
    const isCount = Number.isInteger(atOnce) && atOnce >= 1 && atOnce <= DRAIN_AT_ONCE_MAX
    const isRate = parsed.number('rate') >= 0
    if (name === undefined || others.length > 0 || from.length === 0 || !isCount || !isRate) {
      throw new Misused()
    }
    try {
      return await warmNode(parsed, nodeOf(name), from)
    } catch (error) {
      return failed('warm', error)
    }
  })
}

async function warmNode(parsed: Parsed, node: RingNode, from: string[]): Promise<number> {
  const access = accessOf(parsed)
  const startedMs = performance.now()
  const sources = from.map(serverOf)
  if (sources.includes(null)) {
    if (from.length > 1) throw new Misused('--from takes one file, or servers')
    const owns = ownsOf(parsed, node, null)
    const report = await fillFromFile({
      path: from[0],
      secret: secretOf(parsed),
      server: node,
      access,
      hottestFirst: true,
      rate: parsed.number('rate'),
      wants: key => owns(key.toString()),
    })
    process.stderr.write(`${textOf(report, startedMs)}\n`)
    return report.refused === 0 ? 0 : 1
  }
  const servers = sources.filter(server => server !== null)
  const progress = new Progress('warm')
  const report = await warm(node, servers, {
    ...connectionsOf(access),
    rate: parsed.number('rate'),
    atOnce: parsed.number('at-once'),
    owns: ownsOf(parsed, node, servers),
    onProgress: report => progress.show(shareOf(report), `${report.stored} items`),
  }).finally(() => progress.end())
  process.stderr.write(`${reportText(report, startedMs)}\n`)
  return report.failed === 0 ? 0 : 1
}

/** A server, or null: a file. */
function serverOf(text: string): RingNode | null {
  return text.includes('/') || !/:\d+$/.test(text) ? null : nodeOf(text)
}

/** Which keys the node owns in its pool. Throws Misused. */
function ownsOf(parsed: Parsed, node: RingNode, sources: readonly RingNode[] | null): Owns {
  if (parsed.flag('all')) return () => true
  const listed = parsed.texts('pool').flatMap(list => list.split(','))
  if (listed.length === 0 && sources === null) {
    throw new Misused('a snapshot needs --pool, or --all')
  }
  const pool = listed.length > 0 ? listed.map(nodeOf) : [node, ...(sources ?? [])]
  const own = pool.findIndex(server => addressText(server) === addressText(node))
  if (own < 0) throw new Misused(`${addressText(node)} is not in --pool`)
  const ring = createRing(pool, { kind: parsed.text('ring') as RingKind })
  return key => ownerOf(ring, key) === own
}

function nodeOf(text: string): RingNode {
  try {
    return parseServer(text)
  } catch (error) {
    if (error instanceof CacheError) throw new Misused(error.message)
    throw error
  }
}

function secretOf(parsed: Parsed): Buffer | null {
  const key = parsed.text('key')
  return key === undefined ? null : readSecret(key)
}

function connectionsOf({ login, ca }: Access): ConnectionOptions {
  const [user = '', ...password] = login?.split(':') ?? []
  return {
    ...(login === undefined ? {} : { auth: { user, password: password.join(':') } }),
    ...(ca === undefined ? {} : { tls: ca === '' ? {} : { ca } }),
  }
}

function shareOf({ seen, stored, newer, skipped, failed }: WarmReport): number | null {
  return seen === 0 ? null : (stored + newer + skipped + failed) / seen
}

function reportText({ seen, stored, newer, skipped, failed }: WarmReport, startedMs: number) {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const rest = `${newer} were there, ${skipped} skipped, ${failed} failed`
  return `${stored} of ${seen} items stored in ${seconds} s, ${rest}`
}
