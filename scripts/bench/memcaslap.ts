// A second opinion: the same comparison with memcaslap (libmemcached) as the load generator, which
// shares no code with ours. It does not pipeline. Requests are counted by the servers' own
// counters.

import { once } from 'node:events'
import { cpuUsBetween, readCpu } from './cpu.ts'
import { start, stderrOf } from './processes.ts'
import { type Comparison, type Plan, type Sample, takeTurns } from './rounds.ts'
import { readCounter, type Server, startServer, stopServer } from './servers.ts'

const CONNECTIONS = 50
const VALUE_BYTES = 32
// Keys of each connection.
const WINDOW_KEYS = '1k'

export async function compareByMemcaslap(plan: Plan): Promise<Comparison> {
  const servers: Server[] = []
  try {
    servers.push(await startServer(plan.baseline, { core: plan.serverCore }))
    servers.push(await startServer(plan.candidate, { core: plan.serverCore }))
    for (const server of servers) await measure(plan, server, plan.warmupSeconds)
    const perform = (server: Server) => measure(plan, server, plan.seconds)
    const [baseline, candidate] = await takeTurns(plan.rounds, servers, perform)
    return {
      name: 'memcaslap',
      what: 'another generator',
      load: `9:1 get:set, ${VALUE_BYTES} B values, ${CONNECTIONS} connections`,
      baselineName: plan.baseline.name,
      candidateName: plan.candidate.name,
      versions: [servers[0].version, servers[1].version],
      baseline,
      candidate,
    }
  } finally {
    for (const server of servers) await stopServer(server)
  }
}

async function measure(plan: Plan, server: Server, seconds: number): Promise<Sample> {
  const countBefore = await countRequests(server)
  const cpuBefore = readCpu(server.pid)
  const startMs = performance.now()
  await runMemcaslap(server, Math.ceil(seconds), plan.loadCore)
  const elapsedS = (performance.now() - startMs) / 1000
  const cpuUs = cpuUsBetween(cpuBefore, readCpu(server.pid))
  const requestCount = (await countRequests(server)) - countBefore
  return {
    requestsPerS: requestCount / elapsedS,
    serverUs: cpuUs / requestCount,
    loadUs: Number.NaN,
    p50Us: Number.NaN,
    p99Us: Number.NaN,
    p999Us: Number.NaN,
    longestUs: Number.NaN,
    busy: cpuUs / (elapsedS * 1e6),
  }
}

async function countRequests(server: Server): Promise<number> {
  return (await readCounter(server, 'cmd_get')) + (await readCounter(server, 'cmd_set'))
}

async function runMemcaslap(
  server: Server,
  seconds: number,
  core: number | undefined,
): Promise<void> {
  const flags = ['-T', 1, '-c', CONNECTIONS, '-X', VALUE_BYTES, '-w', WINDOW_KEYS]
  const command = ['memcaslap', '-s', `127.0.0.1:${server.port}`, '-t', `${seconds}s`, ...flags]
  const child = start(command.map(String), core, { stdio: ['ignore', 'ignore', 'pipe'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`memcaslap failed on ${server.name}: ${stderrOf(child)}`)
}
