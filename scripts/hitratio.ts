// `npm run bench:hitratio`: how many requests miss, beside memcached with the same -m. Each trace
// is replayed as an application uses a cache: get, and after a miss set. Expiry runs in the
// servers' own seconds, so a trace's times are not waited for. Loopback only, and all that it
// starts ends with it.

import { setTimeout as sleep } from 'node:timers/promises'
import yargs from 'yargs'
import { Caller, type Entry } from './bench/caller.ts'
import { stopAllOnExit } from './bench/processes.ts'
import {
  memcachedCommand,
  memslabCommand,
  type ServerSpec,
  startServer,
  stopServer,
  whyNot,
} from './bench/servers.ts'
import { chosenTraces, TRACE_OPTIONS, tableOf } from './bench/trace-options.ts'
import { type Access, type Trace, traceOfFile } from './bench/traces.ts'

/** Of the second half of a trace, after the caches have filled. */
interface Misses {
  ratio: number
  byteRatio: number
  /** Thousands of accesses after which misses had come near to those at the end. */
  settled: number
}

/** Requests in flight: what misses is stored before the next are asked for. */
const BATCH = 64
/**
 * A trace is looked at in so many parts; near the end's misses are so many times those of its last
 * parts.
 */
const PARTS = 20
const LAST_PARTS = 5
const NEAR = 1.1
const HEAD = [
  'trace',
  'memcached misses',
  'memslab misses',
  'ratio',
  'memcached bytes missed',
  'memslab bytes missed',
  'ratio',
  'settled after, thousands',
  'what',
]

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:hitratio')
  .usage('$0 [options] [trace.csv ...]\n\nCompares the misses of memslab and memcached.')
  .options({
    ...TRACE_OPTIONS,
    baseline: { type: 'string', describe: 'Command to start in place of memcached' },
    candidate: { type: 'string', describe: 'Command to start in place of memslab' },
  })
  .strictOptions()
  .help()
  .version(false)
  .parseAsync()

async function main(): Promise<void> {
  stopAllOnExit()
  const theirs = specOf('memcached', options.baseline, memcachedCommand())
  const ours = specOf('memslab', options.candidate, memslabCommand())
  const reason = whyNot(theirs.command) ?? whyNot(ours.command)
  if (reason !== undefined) throw new Error(reason)
  const rows = [HEAD]
  const ratios: number[] = []
  const byteRatios: number[] = []
  for (const trace of traces()) {
    const [before, after] = [await replay(theirs, trace), await replay(ours, trace)]
    ratios.push(after.ratio / before.ratio)
    byteRatios.push(after.byteRatio / before.byteRatio)
    rows.push(rowOf(trace, before, after))
    console.log(rows.at(-1)?.join('  '))
  }
  console.log(`\n-m ${options.memory} -t ${options.threads}`)
  console.log(tableOf(rows, options))
  console.log(`geometric mean of the ratios: ${meanOf(ratios)} (below 1: memslab misses less)`)
  console.log(`of the ratios of bytes: ${meanOf(byteRatios)}`)
}

function meanOf(ratios: readonly number[]): string {
  const logs = ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0)
  return Math.exp(logs / ratios.length).toFixed(3)
}

function traces(): Trace[] {
  const files = options._.map(String)
  return files.length > 0 ? files.map(traceOfFile) : chosenTraces(options)
}

function specOf(name: string, given: string | undefined, usual: string[]): ServerSpec {
  const command = given === undefined ? usual : given.split(/\s+/).filter(word => word !== '')
  return { name, command, threadCount: options.threads, memoryMib: options.memory }
}

async function replay(spec: ServerSpec, trace: Trace): Promise<Misses> {
  const server = await startServer(spec, undefined)
  const caller = await Caller.open(server.port)
  const tally = new Tally()
  try {
    const startMs = performance.now()
    let served = 0
    let batch: Access[] = []
    for await (const access of trace.accesses()) {
      batch.push(access)
      if (batch.length < BATCH) continue
      await serve(caller, batch, tally)
      served += batch.length
      batch = []
      if (trace.perS === undefined) continue
      const aheadMs = startMs + (served / trace.perS) * 1000 - performance.now()
      if (aheadMs > 1) await sleep(aheadMs)
    }
    if (batch.length > 0) await serve(caller, batch, tally)
    return tally.secondHalf()
  } finally {
    caller.close()
    await stopServer(server)
  }
}

/** A key that comes twice in a batch is asked for once: its second access is a hit. */
async function serve(caller: Caller, batch: readonly Access[], tally: Tally): Promise<void> {
  const entries = new Map<string, Entry>()
  const asked = new Map<string, Access>()
  for (const access of batch) {
    if (access.isSet) entries.set(access.key, entryOf(access))
    else if (asked.has(access.key)) tally.add(access, true)
    else asked.set(access.key, access)
  }
  const accesses = [...asked.values()]
  const hits = accesses.length === 0 ? [] : await caller.get([...asked.keys()])
  for (const [i, access] of accesses.entries()) {
    tally.add(access, hits[i])
    if (!hits[i]) entries.set(access.key, entryOf(access))
  }
  if (entries.size > 0) await caller.set([...entries.values()])
}

function entryOf({ key, valueBytes, ttlS }: Access): Entry {
  return { key, valueBytes, exptime: ttlS }
}

class Tally {
  readonly #hits: boolean[] = []
  readonly #bytes: number[] = []

  add({ valueBytes }: Access, hit: boolean): void {
    this.#hits.push(hit)
    this.#bytes.push(valueBytes)
  }

  secondHalf(): Misses {
    const start = this.#hits.length >> 1
    let misses = 0
    let bytes = 0
    let missedBytes = 0
    for (let i = start; i < this.#hits.length; i++) {
      bytes += this.#bytes[i]
      if (this.#hits[i]) continue
      misses++
      missedBytes += this.#bytes[i]
    }
    return {
      ratio: misses / (this.#hits.length - start),
      byteRatio: missedBytes / bytes,
      settled: this.#settled(),
    }
  }

  #settled(): number {
    const length = Math.ceil(this.#hits.length / PARTS)
    const parts = Array.from({ length: PARTS }, (_, part) => {
      const hits = this.#hits.slice(part * length, (part + 1) * length)
      return hits.filter(hit => !hit).length / Math.max(1, hits.length)
    })
    const end = parts.slice(-LAST_PARTS).reduce((sum, ratio) => sum + ratio) / LAST_PARTS
    return Math.round((parts.findIndex(ratio => ratio <= end * NEAR) * length) / 1000)
  }
}

function rowOf({ name, what }: Trace, theirs: Misses, ours: Misses): string[] {
  return [
    name,
    theirs.ratio.toFixed(4),
    ours.ratio.toFixed(4),
    (ours.ratio / theirs.ratio).toFixed(3),
    theirs.byteRatio.toFixed(4),
    ours.byteRatio.toFixed(4),
    (ours.byteRatio / theirs.byteRatio).toFixed(3),
    `${theirs.settled} / ${ours.settled}`,
    what,
  ]
}

main().catch((error: Error) => {
  console.error(`bench:hitratio: ${error.message}`)
  process.exit(1)
})
