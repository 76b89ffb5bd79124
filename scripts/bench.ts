// `npm run bench`: the server CPU that a request costs memslab and memcached, under the same load
// on the same machine. Owns the command line; bench/rounds.ts has the method, bench/cases.ts the
// loads. Loopback only; every process that it starts ends with it.

import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import yargs from 'yargs'
import { CASES, type Case, describeCase, SCALE_CASES, selectCases } from './bench/cases.ts'
import { type Certificate, makeCertificate } from './bench/certificate.ts'
import { compareByMemcaslap } from './bench/memcaslap.ts'
import { allowedCores, isInstalled, stopAllOnExit } from './bench/processes.ts'
import { caseReport, cpuRatio, legend, paceFault, summary } from './bench/report.ts'
import { type Comparison, compare, type Plan } from './bench/rounds.ts'
import { startScraper } from './bench/scraper.ts'
import {
  freePort,
  memcachedCommand,
  memslabCommand,
  type ServerSpec,
  whyNot,
} from './bench/servers.ts'

// Most CPU per request with several threads, as a multiple of one thread's.
const SCALE_RATIO_MAX = 1.1

type Options = Awaited<ReturnType<typeof readOptions>>

function readOptions() {
  return yargs(process.argv.slice(2))
    .scriptName('bench')
    .usage('$0 [options]\n\nCompares the server CPU per request of memslab and memcached.')
    .options({
      case: {
        type: 'string',
        describe: 'Only these cases: names or parts of names, comma-separated',
        coerce: (names: string | string[]) => [names].flat().join(','),
      },
      list: { type: 'boolean', describe: 'List the cases and exit' },
      rounds: { type: 'number', default: 5, describe: 'Rounds for each case' },
      seconds: { type: 'number', default: 2, describe: 'Seconds for each server in a round' },
      warmup: { type: 'number', default: 2.5, describe: 'Seconds of the same load beforehand' },
      threads: { type: 'number', default: 1, describe: 'Threads of each server (-t)' },
      pin: { type: 'boolean', describe: 'Server on one core, load on another [1 thread: true]' },
      scale: { type: 'boolean', describe: 'Only the cases that compare several threads with one' },
      memcaslap: { type: 'boolean', describe: 'Load from memcaslap instead of the cases' },
      baseline: { type: 'string', describe: 'Command to start instead of memcached' },
      candidate: { type: 'string', describe: 'Command to start instead of memslab' },
      scrape: {
        type: 'boolean',
        describe: 'memslab with an admin listener that is scraped each second, and without',
      },
      seed: { type: 'number', default: 1, describe: 'Seed of the keys and the order of requests' },
      markdown: { type: 'boolean', describe: 'Print one table in Markdown' },
      json: { type: 'string', describe: 'Save every round to this file' },
    })
    .check(({ rounds, seconds, warmup, threads }) => {
      if (!(rounds >= 1 && Number.isInteger(rounds))) throw new Error('--rounds must be >= 1')
      if (!(seconds >= 0.1 && seconds <= 600)) throw new Error('--seconds must be 0.1 to 600')
      if (!(warmup >= 0.1 && warmup <= 600)) throw new Error('--warmup must be 0.1 to 600')
      if (!(threads >= 1 && Number.isInteger(threads))) throw new Error('--threads must be >= 1')
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
    for (const load of CASES) console.log(`${load.name.padEnd(16)} ${describeCase(load)}`)
    return
  }
  const cases = casesOf(options)
  stopAllOnExit()
  const adminPort = options.scrape ? await freePort() : undefined
  const plan = planOf(options, cases, adminPort)
  requireInstalled(plan, options)
  const scraper = adminPort === undefined ? undefined : startScraper(adminPort)
  const comparisons: Comparison[] = []
  const add = (comparison: Comparison) => {
    comparisons.push(comparison)
    if (!options.markdown) console.log(`${caseReport(comparison)}\n`)
  }
  if (options.memcaslap) add(await compareByMemcaslap(plan))
  else for (const load of cases) add(await compare(planFor(load, plan, options), load))
  scraper?.stop()
  print(options, cases, comparisons)
  if (scraper !== undefined) {
    const { scrapes, bytes } = scraper.counts
    console.log(`${scrapes} scrapes of ${Math.round(bytes / Math.max(1, scrapes))} bytes`)
  }
  if (options.json !== undefined) save(options.json, options, comparisons)
}

function casesOf({ case: names, scale, memcaslap }: Options): Case[] {
  if (memcaslap) return []
  if (names === undefined && scale) return SCALE_CASES
  return selectCases(names?.split(',').filter(name => name !== '') ?? [])
}

function planOf(options: Options, cases: readonly Case[], adminPort?: number): Plan {
  const { rounds, seconds, warmup: warmupSeconds, seed, threads } = options
  const [serverCore, loadCore] = coresOf(options, threads)
  const ours = memslabCommand()
  const isScraped = adminPort !== undefined
  const [name, usual] = isScraped ? ['memslab', ours] : ['memcached', memcachedCommand()]
  const tried = isScraped ? [...ours, '--admin', String(adminPort)] : ours
  const baseline = spec('baseline', name, options.baseline, usual, threads)
  const candidate = spec(
    'candidate',
    isScraped ? 'scraped' : 'memslab',
    options.candidate,
    tried,
    threads,
  )
  const certificate = certificateFor(cases)
  const servers = { baseline, candidate, certificate, serverCore, loadCore }
  return { ...servers, rounds, seconds, warmupSeconds, seed }
}

function certificateFor(cases: readonly Case[]): Certificate | undefined {
  if (!cases.some(({ tls }) => tls)) return undefined
  if (!isInstalled('openssl')) {
    throw new Error('openssl is not installed: choose cases without tls by --case')
  }
  return makeCertificate()
}

// Cases of several threads compare the candidate with itself at one thread.
function planFor({ threads }: Case, plan: Plan, options: Options): Plan {
  if (threads === undefined) return plan
  const [serverCore, loadCore] = coresOf(options, threads)
  const { candidate } = plan
  const withThreads = (threadCount: number) => ({
    ...candidate,
    name: `${candidate.name} -t ${threadCount}`,
    threadCount,
  })
  return {
    ...plan,
    baseline: withThreads(1),
    candidate: withThreads(threads),
    serverCore,
    loadCore,
  }
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

// The core of the server and the core of the load; empty where nothing is pinned. By default only a
// server of one thread is pinned: several threads share all cores with the load.
function coresOf({ pin }: Options, threads: number): (number | undefined)[] {
  const wanted = pin ?? threads === 1
  const cores = allowedCores()
  if (!wanted) return []
  if (isInstalled('taskset') && cores.length >= 2) return cores
  console.error('bench: server and load are not pinned: pinning needs taskset and two cores')
  return []
}

function requireInstalled({ baseline, candidate }: Plan, { memcaslap }: Options): void {
  const reason = whyNot(baseline.command) ?? whyNot(candidate.command)
  if (reason !== undefined) throw new Error(reason)
  if (memcaslap && !isInstalled('memcaslap')) {
    throw new Error('memcaslap is not installed: on Debian, apt-get install libmemcached-tools')
  }
}

function print(
  { markdown = false }: Options,
  cases: readonly Case[],
  comparisons: readonly Comparison[],
): void {
  console.log(`${summary(comparisons, markdown)}\n\n${legend(comparisons)}`)
  for (const fault of comparisons.map(paceFault)) if (fault !== undefined) console.log(fault)
  for (const [index, { name, threads }] of cases.entries()) {
    if (threads === undefined) continue
    const times = 1 / cpuRatio(comparisons[index]).median
    const verdict = times <= SCALE_RATIO_MAX ? 'within' : 'ABOVE'
    console.log(
      `${name}: ${threads} threads cost ${times.toFixed(2)} times what one costs, ` +
        `${verdict} the bound of ${SCALE_RATIO_MAX}`,
    )
  }
}

function save(file: string, options: Options, comparisons: readonly Comparison[]): void {
  const machine = { cpu: cpus()[0]?.model, cpuCount: cpus().length, node: process.version }
  const { rounds, seconds, warmup, threads, seed, scale, baseline, candidate } = options
  const isPinned = coresOf(options, threads).length > 0
  const method = { rounds, seconds, warmup, threads, seed, scale, baseline, candidate, isPinned }
  writeFileSync(file, `${JSON.stringify({ machine, method, comparisons }, null, 2)}\n`)
}

main().catch((error: Error) => {
  console.error(`bench: ${error.message}`)
  process.exit(1)
})
