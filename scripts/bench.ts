// `npm run bench`: what a request costs memslab, beside what it costs memcached, under the same
// load on the same machine. Owns the command line; bench/rounds.ts has the method, bench/cases.ts
// the loads. Loopback only, and all that it starts ends with it.

import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import yargs from 'yargs'
import { CASES, describeCase, SCALE_CASE_NAMES, selectCases } from './bench/cases.ts'
import { compareByMemcaslap } from './bench/memcaslap.ts'
import { allowedCores, isInstalled, stopAllOnExit } from './bench/processes.ts'
import { caseReport, cpuRatio, legend, summary } from './bench/report.ts'
import { type Comparison, compare, type Plan } from './bench/rounds.ts'
import { memcachedCommand, memslabCommand, type ServerSpec, whyNot } from './bench/servers.ts'

const SCALE_THREADS = 4
const SCALE_RATIO_MAX = 1.15

type Options = Awaited<ReturnType<typeof readOptions>>

function readOptions() {
  return yargs(process.argv.slice(2))
    .scriptName('bench')
    .usage('$0 [options]\n\nCompares the server CPU per request of memslab and memcached.')
    .options({
      case: {
        type: 'string',
        describe: 'Only these: names or parts of them, by commas',
        coerce: (names: string | string[]) => [names].flat().join(','),
      },
      list: { type: 'boolean', describe: 'List the cases and end' },
      rounds: { type: 'number', default: 5, describe: 'Rounds for each case' },
      seconds: { type: 'number', default: 2, describe: "A server's turn in a round" },
      warmup: { type: 'number', default: 2.5, describe: 'Seconds of the same load beforehand' },
      threads: { type: 'number', default: 1, describe: 'Threads of each server (-t)' },
      pin: { type: 'boolean', describe: 'Server on one core, load on another [1 thread: true]' },
      scale: { type: 'boolean', describe: `memslab -t ${SCALE_THREADS} beside memslab -t 1` },
      memcaslap: { type: 'boolean', describe: 'Load from memcaslap in place of the cases' },
      baseline: { type: 'string', describe: 'Command to start in place of memcached' },
      candidate: { type: 'string', describe: 'Command to start in place of memslab' },
      seed: { type: 'number', default: 1, describe: 'Of the keys and the order of requests' },
      markdown: { type: 'boolean', describe: 'Print one table in Markdown' },
      json: { type: 'string', describe: 'Save every round to this file' },
    })
    .check(({ rounds, seconds, warmup, threads }) => {
      if (!(rounds >= 1 && Number.isInteger(rounds))) throw new Error('--rounds is 1 or more')
      if (!(seconds >= 0.1 && seconds <= 600)) throw new Error('--seconds is 0.1 to 600')
      if (!(warmup >= 0.1 && warmup <= 600)) throw new Error('--warmup is 0.1 to 600')
      if (!(threads >= 1 && Number.isInteger(threads))) throw new Error('--threads is 1 or more')
      return true
    })
    .strict()
    .help()
    .version(false)
    .parseAsync()
}

async function main(): Promise<void> {
  const options = await readOptions()
  if (options.list) {
    for (const load of CASES) console.log(`${load.name.padEnd(10)} ${describeCase(load)}`)
    return
  }
  const cases = casesOf(options)
  const plan = planOf(options)
  requireInstalled(plan, options)
  stopAllOnExit()
  const comparisons: Comparison[] = []
  const add = (comparison: Comparison) => {
    comparisons.push(comparison)
    if (!options.markdown) console.log(`${caseReport(comparison)}\n`)
  }
  if (options.memcaslap) add(await compareByMemcaslap(plan))
  else for (const load of cases) add(await compare(plan, load))
  print(options, comparisons)
  if (options.json !== undefined) save(options.json, options, comparisons)
}

function casesOf({ case: names, scale }: Options) {
  if (names === undefined && scale) return selectCases(SCALE_CASE_NAMES)
  return selectCases(names?.split(',').filter(name => name !== '') ?? [])
}

function planOf(options: Options): Plan {
  const { rounds, seconds, warmup: warmupSeconds, seed } = options
  const [serverCore, loadCore] = coresOf(options)
  const [baseline, candidate] = serversOf(options)
  return { baseline, candidate, rounds, seconds, warmupSeconds, seed, serverCore, loadCore }
}

function serversOf({ baseline, candidate, scale, threads }: Options): [ServerSpec, ServerSpec] {
  const theirs = spec('baseline', 'memcached', baseline, memcachedCommand(), threads)
  const ours = spec('candidate', 'memslab', candidate, memslabCommand(), threads)
  if (!scale) return [theirs, ours]
  // The many threads stand first, so that the cpu ratio says how much more theirs costs.
  return [
    { ...ours, name: `${ours.name} -t ${SCALE_THREADS}`, threadCount: SCALE_THREADS },
    { ...ours, name: `${ours.name} -t 1`, threadCount: 1 },
  ]
}

function spec(
  role: 'baseline' | 'candidate',
  name: string,
  given: string | undefined,
  usual: readonly string[],
  threadCount: number,
): ServerSpec {
  if (given === undefined) return { name, command: usual, threadCount }
  const command = given.split(/\s+/).filter(word => word !== '')
  return { name: role, command, threadCount }
}

// One thread is given a core and the load another. Several threads share the machine with it.
function coresOf({ pin, scale, threads }: Options): (number | undefined)[] {
  const wanted = pin ?? (threads === 1 && !scale)
  const cores = allowedCores()
  if (!wanted) return []
  if (isInstalled('taskset') && cores.length >= 2) return cores
  console.error('bench: server and load are not pinned: that takes taskset and two cores')
  return []
}

function requireInstalled({ baseline, candidate }: Plan, { memcaslap }: Options): void {
  const reason = whyNot(baseline.command) ?? whyNot(candidate.command)
  if (reason !== undefined) throw new Error(reason)
  if (memcaslap && !isInstalled('memcaslap')) {
    throw new Error('memcaslap is not installed: on Debian, apt-get install libmemcached-tools')
  }
}

function print({ markdown = false, scale }: Options, comparisons: readonly Comparison[]): void {
  console.log(`${summary(comparisons, markdown)}\n\n${legend(comparisons[0])}`)
  if (!scale) return
  for (const comparison of comparisons) {
    const { median } = cpuRatio(comparison)
    const verdict = median <= SCALE_RATIO_MAX ? 'within' : 'ABOVE'
    console.log(
      `${comparison.name}: ${SCALE_THREADS} threads cost ${median.toFixed(2)} times one, ` +
        `${verdict} ${SCALE_RATIO_MAX}`,
    )
  }
}

function save(file: string, options: Options, comparisons: readonly Comparison[]): void {
  const machine = { cpu: cpus()[0]?.model, cpuCount: cpus().length, node: process.version }
  const { rounds, seconds, warmup, threads, seed, scale, baseline, candidate } = options
  const isPinned = coresOf(options).length > 0
  const method = { rounds, seconds, warmup, threads, seed, scale, baseline, candidate, isPinned }
  writeFileSync(file, `${JSON.stringify({ machine, method, comparisons }, null, 2)}\n`)
}

main().catch((error: Error) => {
  console.error(`bench: ${error.message}`)
  process.exit(1)
})
