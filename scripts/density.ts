// `npm run bench:density`: how many items memslab keeps in the same -m, beside memcached. Each
// server is filled several times over with items that are never read, then all of them are asked
// for; what is still there counts. Loopback only, and all that it starts ends with it.

import { readFileSync } from 'node:fs'
import yargs from 'yargs'
import { Caller, type Entry } from './bench/caller.ts'
import { isInstalled, stopAllOnExit } from './bench/processes.ts'
import { plainTable } from './bench/report.ts'
import { randomFrom } from './bench/requests.ts'
import {
  memcachedCommand,
  memslabCommand,
  type Server,
  type ServerSpec,
  startServer,
  stopServer,
  whyNot,
} from './bench/servers.ts'
import { etcSizes, twitterSizes } from './bench/sizes.ts'
import { compareShifts } from './density/shift.ts'

interface Fill {
  name: string
  /** Bytes of the next value. */
  sizes(random: () => number): () => number
}

interface Kept {
  items: number
  payloadBytes: number
  residentBytes: number
}

const MIB = 2 ** 20
const KEY_BYTES = 24
/** What memcached spends on an item beyond key and value, at least. */
const OVERHEAD_BYTES = 48
const BATCH_BYTES = 128 * 1024
const BATCH_ITEMS_MAX = 1000
const READ_BATCH_ITEMS = 200

const FILLS: Fill[] = [
  ...[8, 32, 100, 500, 1000, 4000, 100_000].map(bytes => ({
    name: `${bytes} bytes`,
    sizes: () => () => bytes,
  })),
  { name: 'ETC mix', sizes: etcSizes },
  { name: 'Twitter mix', sizes: twitterSizes },
]

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:density')
  .usage('$0 [options]\n\nCompares how many items memslab and memcached keep in the same memory.')
  .options({
    memory: { type: 'number', default: 64, describe: 'Limit of each server, MiB (-m)' },
    times: { type: 'number', default: 2.5, describe: 'How often each server is filled' },
    threads: { type: 'number', default: 4, describe: 'Threads of each server (-t)' },
    only: { type: 'string', describe: 'Only fills whose name has this in it' },
    baseline: { type: 'string', describe: 'Command to start in place of memcached' },
    candidate: { type: 'string', describe: 'Command to start in place of memslab' },
    shift: {
      type: 'boolean',
      default: false,
      describe: 'What is kept when what is stored changes',
    },
    hold: {
      type: 'number',
      default: 1024,
      describe: 'MiB in which --shift times locks, 0: nowhere',
    },
    seed: { type: 'number', default: 1, describe: 'Of the sizes' },
  })
  .strict()
  .help()
  .version(false)
  .parseAsync()

async function main(): Promise<void> {
  stopAllOnExit()
  const specs = [
    specOf('memcached', options.baseline, memcachedCommand()),
    specOf('memslab', options.candidate, memslabCommand()),
  ]
  for (const { command } of specs) {
    const reason = isInstalled(command[0]) ? undefined : whyNot(command)
    if (reason !== undefined) throw new Error(reason)
  }
  if (options.shift) {
    const [theirs, ours] = specs
    await compareShifts({ theirs, ours, holdMib: options.hold, only: options.only ?? '' })
    return
  }
  const rows = [
    [
      'values',
      'memcached items',
      'memslab items',
      'ratio',
      'payload share',
      'items a MiB resident',
    ],
  ]
  for (const fill of FILLS.filter(({ name }) => name.includes(options.only ?? ''))) {
    const [theirs, ours] = [await measure(specs[0], fill), await measure(specs[1], fill)]
    rows.push(rowOf(fill.name, theirs, ours))
    console.log(rows.at(-1)?.join('  '))
  }
  console.log(`\n-m ${options.memory} -t ${options.threads}, keys of ${KEY_BYTES} bytes`)
  console.log(plainTable(rows))
}

function specOf(name: string, given: string | undefined, usual: string[]): ServerSpec {
  const command = given === undefined ? usual : given.split(/\s+/).filter(word => word !== '')
  return { name, command, threadCount: options.threads, memoryMib: options.memory }
}

async function measure(spec: ServerSpec, fill: Fill): Promise<Kept> {
  const server = await startServer(spec, undefined)
  const caller = await Caller.open(server.port)
  try {
    return { ...(await fillUp(caller, fill)), residentBytes: residentBytesOf(server) }
  } finally {
    caller.close()
    await stopServer(server)
  }
}

/** Stores so many items that the limit is reached several times, then counts what is there. */
async function fillUp(caller: Caller, fill: Fill): Promise<Omit<Kept, 'residentBytes'>> {
  const draw = fill.sizes(randomFrom(options.seed))
  const sizes: number[] = []
  let entries: Entry[] = []
  let batchBytes = 0
  const wantedBytes = options.memory * MIB * options.times
  for (let bytes = 0; bytes < wantedBytes; bytes += batchBytes) {
    entries = []
    batchBytes = 0
    while (batchBytes < BATCH_BYTES && entries.length < BATCH_ITEMS_MAX) {
      const valueBytes = draw()
      entries.push({ key: keyOf(sizes.length), valueBytes, exptime: 0 })
      sizes.push(valueBytes)
      batchBytes += valueBytes + KEY_BYTES + OVERHEAD_BYTES
    }
    await caller.set(entries)
  }
  let items = 0
  let payloadBytes = 0
  for (let at = 0; at < sizes.length; at += READ_BATCH_ITEMS) {
    const length = Math.min(READ_BATCH_ITEMS, sizes.length - at)
    const hits = await caller.get(Array.from({ length }, (_, i) => keyOf(at + i)))
    for (let i = 0; i < length; i++) {
      if (!hits[i]) continue
      items++
      payloadBytes += KEY_BYTES + sizes[at + i]
    }
  }
  return { items, payloadBytes }
}

function keyOf(index: number): string {
  return `k${String(index).padStart(KEY_BYTES - 1, '0')}`
}

function residentBytesOf({ pid }: Server): number {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

function rowOf(name: string, theirs: Kept, ours: Kept): string[] {
  const limitBytes = options.memory * MIB
  const share = ({ payloadBytes }: Kept) => (payloadBytes / limitBytes).toFixed(3)
  const perMib = ({ items, residentBytes }: Kept) => Math.round(items / (residentBytes / MIB))
  return [
    name,
    String(theirs.items),
    String(ours.items),
    (ours.items / theirs.items).toFixed(3),
    `${share(theirs)} / ${share(ours)}`,
    `${perMib(theirs)} / ${perMib(ours)}`,
  ]
}

main().catch((error: Error) => {
  console.error(`bench:density: ${error.message}`)
  process.exit(1)
})
