// What memcached_exporter tells of a process where it knows its pid file. Here the process tells it
// of itself. Where /proc is missing, so are those that come from it.

import { readdirSync, readFileSync } from 'node:fs'
import type { MetricRow } from './facts.ts'

const PREFIX = 'memcached_process_'
const PAGE_BYTES = 4096

export function processMetrics(): MetricRow[] {
  return [
    row('cpu_seconds_total', 'counter', 'CPU time of the process.', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    }),
    row('max_fds', 'gauge', 'Limit of open file descriptors.', () => {
      const [, soft] =
        /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
      return soft === undefined ? null : Number(soft)
    }),
    row('open_fds', 'gauge', 'Open file descriptors.', () => readdirSync('/proc/self/fd').length),
    row('resident_memory_bytes', 'gauge', 'Resident memory.', () => process.memoryUsage.rss()),
    row('virtual_memory_bytes', 'gauge', 'Virtual memory.', () => {
      const [pages] = readFileSync('/proc/self/statm', 'utf8').split(' ')
      return Number(pages) * PAGE_BYTES
    }),
    row('start_time_seconds', 'gauge', 'Unix time of the start.', () =>
      Math.round(Date.now() / 1000 - process.uptime()),
    ),
  ]
}

function row(
  name: string,
  type: MetricRow['type'],
  help: string,
  read: () => number | null,
): MetricRow {
  return { name: PREFIX + name, type, help, read: () => orNull(read) }
}

function orNull(read: () => number | null): number | null {
  try {
    return read()
  } catch {
    return null
  }
}
