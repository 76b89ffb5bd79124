// `stats latency`: how long requests took, by command, microseconds.

import { LATENCY_SAMPLE_EVERY, readLatencies } from '../../observe/latency.ts'
import type { Host } from '../host.ts'
import type { Lines } from './rows.ts'

const PERCENTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const

export function reportLatency({ latency }: Host, lines: Lines): void {
  lines.add('sample_every', LATENCY_SAMPLE_EVERY)
  for (const times of readLatencies(latency.handle)) {
    if (times.count === 0) continue
    const add = (name: string, value: number) => lines.add(`${times.command}:${name}`, value)
    add('samples', times.count)
    for (const [name, share] of PERCENTILES) add(`${name}_us`, rounded(times.percentileUs(share)))
    add('longest_us', rounded(times.longestUs))
  }
}

function rounded(us: number): number {
  return Math.round(us * 10) / 10
}
