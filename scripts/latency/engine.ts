// The engine's longest times, in process. Each workload runs several rounds and the smallest value
// of each column counts: noise of the machine differs between rounds, the cost of the program does
// not.

import { plainTable } from '../bench/report.ts'
import { EngineClient } from './engine-client.ts'
import { holds } from './timed-lock.ts'
import type { Workload } from './workloads.ts'

interface Round {
  holdMs: number
  requestP999Ms: number
  requestMs: number
  upkeepMs: number
}

const HEAD = [
  'engine, in process',
  'longest lock hold ms',
  'p99.9 request us',
  'longest request ms',
  'longest upkeep ms',
]

export function measureEngine(workloads: readonly Workload[], rounds: number): string {
  const rows = [HEAD]
  for (const workload of workloads) {
    const times = Array.from({ length: rounds }, () => runOnce(workload))
    const least = (field: keyof Round) => Math.min(...times.map(round => round[field]))
    const row = [
      workload.name,
      least('holdMs').toFixed(2),
      (least('requestP999Ms') * 1000).toFixed(1),
      least('requestMs').toFixed(2),
      least('upkeepMs').toFixed(2),
    ]
    rows.push(row)
    console.log(row.join('  '))
  }
  return plainTable(rows)
}

function runOnce(workload: Workload): Round {
  const client = new EngineClient(workload.options)
  workload.prepare?.(client)
  for (const times of [holds, client.requests, client.upkeeps]) times.clear()
  workload.run(client)
  if (client.refused > 0) throw new Error(`${workload.name}: ${client.refused} stores refused`)
  return {
    holdMs: holds.longestMs,
    requestP999Ms: client.requests.percentileMs(99.9),
    requestMs: client.requests.longestMs,
    upkeepMs: client.upkeeps.longestMs,
  }
}
