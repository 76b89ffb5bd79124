// The method: both servers run throughout a case and are driven in turns (A B A B ...), so that
// other load on the machine hits both. Ratios are taken within a round; the median of the rounds is
// the result. A paced case first finds its rate: the baseline is driven in a closed loop, and its
// requests per second are scaled to what they would be at 100 % busy.

import { readFileSync } from 'node:fs'
import { type Case, describeCase } from './cases.ts'
import type { Certificate } from './certificate.ts'
import { cpuUsBetween, readCpu } from './cpu.ts'
import { Driver, type LoadResult, type Place } from './driver.ts'
import { readCounter, type Server, type ServerSpec, startServer, stopServer } from './servers.ts'

export interface Plan {
  baseline: ServerSpec
  candidate: ServerSpec
  rounds: number
  seconds: number
  warmupSeconds: number
  seed: number
  serverCore: number | undefined
  loadCore: number | undefined
  // For the cases that use TLS.
  certificate: Certificate | undefined
}

export interface Sample {
  requestsPerS: number
  serverUs: number
  // CPU of the load process per request, microseconds; NaN if unknown (memcaslap).
  loadUs: number
  p50Us: number
  p99Us: number
  p999Us: number
  longestUs: number
  // CPU seconds of the server per second: 1 is one full core.
  busy: number
}

export interface Comparison {
  name: string
  what: string
  load: string
  baselineName: string
  candidateName: string
  // As each server answers the command `version`.
  versions: [string, string]
  baseline: Sample[]
  candidate: Sample[]
  // Requests per second that were due, in a paced case.
  paceRate?: number | undefined
}

interface Side {
  server: Server
  driver: Driver
}

export async function compare(plan: Plan, load: Case): Promise<Comparison> {
  const sides: Side[] = []
  try {
    sides.push(await openSide(plan, plan.baseline, load))
    sides.push(await openSide(plan, plan.candidate, load))
    for (const side of sides) await drive(side, plan.warmupSeconds)
    const ratePerS = await paceOf(plan, load, sides[0])
    const perform = (side: Side) => measure(side, plan.seconds, ratePerS)
    const samples = await takeTurns(plan.rounds, sides, perform)
    for (const { server } of sides) await checkCounters(server)
    return {
      name: load.name,
      what: load.what,
      load: describeCase(load, ratePerS),
      baselineName: plan.baseline.name,
      candidateName: plan.candidate.name,
      versions: [sides[0].server.version, sides[1].server.version],
      baseline: samples[0],
      candidate: samples[1],
      paceRate: ratePerS,
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`case ${load.name}: ${message}`, { cause: error })
  } finally {
    for (const side of sides) await closeSide(side)
  }
}

async function paceOf(plan: Plan, { pace }: Case, baseline: Side): Promise<number | undefined> {
  if (pace === undefined) return undefined
  const { requestsPerS, busy } = await measure(baseline, plan.seconds)
  // The load process may bound the rate before the server is busy.
  return (requestsPerS / Math.min(busy / plan.baseline.threadCount, 1)) * pace
}

export async function takeTurns<T, R>(
  rounds: number,
  [first, second]: readonly T[],
  perform: (one: T) => Promise<R>,
): Promise<[R[], R[]]> {
  const results: [R[], R[]] = [[], []]
  for (let round = 0; round < rounds; round += 1) {
    results[0].push(await perform(first))
    results[1].push(await perform(second))
  }
  return results
}

async function openSide(plan: Plan, spec: ServerSpec, load: Case): Promise<Side> {
  const certificate = load.tls ? plan.certificate : undefined
  const server = await startServer(spec, { core: plan.serverCore, certificate })
  const driver = new Driver(plan.loadCore)
  try {
    await driver.prepare(placeOf(server, certificate), load, plan.seed)
  } catch (error) {
    await closeSide({ server, driver })
    throw new Error(`${spec.name}: ${error instanceof Error ? error.message : error}`)
  }
  return { server, driver }
}

function placeOf({ port, tlsPort }: Server, certificate: Certificate | undefined): Place {
  if (certificate === undefined || tlsPort === undefined) return { port, tls: undefined }
  return { port, tls: { port: tlsPort, certificate: readFileSync(certificate.cert, 'utf8') } }
}

async function closeSide({ server, driver }: Side): Promise<void> {
  await driver.stop()
  await stopServer(server)
}

async function measure(side: Side, seconds: number, ratePerS?: number): Promise<Sample> {
  const { server } = side
  const before = readCpu(server.pid)
  const result = await drive(side, seconds, ratePerS)
  const cpuUs = cpuUsBetween(before, readCpu(server.pid))
  return {
    requestsPerS: result.requestCount / result.seconds,
    serverUs: cpuUs / result.requestCount,
    loadUs: result.loadCpuUs / result.requestCount,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    p999Us: result.p999Us,
    longestUs: result.longestUs,
    busy: cpuUs / (result.seconds * 1e6),
  }
}

async function drive(
  { server, driver }: Side,
  seconds: number,
  ratePerS?: number,
): Promise<LoadResult> {
  return await driver.run(seconds, ratePerS).catch((error: Error) => {
    throw new Error(`${server.name}: ${error.message}`)
  })
}

async function checkCounters(server: Server): Promise<void> {
  for (const name of ['evictions', 'get_misses']) {
    const count = await readCounter(server, name)
    if (count !== 0) throw new Error(`${server.name} has ${count} ${name}, expected none`)
  }
}
