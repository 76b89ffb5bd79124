// CPU time of a process, all its threads. schedstat is exact (nanoseconds), but each thread has its
// own and it vanishes with the thread. stat is coarse (clock ticks) but includes threads that
// ended. So schedstat counts where both agree up to the rounding of ticks, and stat where they do
// not.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

export interface CpuReading {
  totalUs: number
  // Empty where the kernel keeps no schedstat.
  threadsUs: Map<string, number>
}

const UTIME_FIELD = 11
const STIME_FIELD = 12
// Two fields of two readings, each rounded to a tick of 10 ms.
const ROUNDING_US_MAX = 40_000

let ticksPerSecond = 0

export function readCpu(pid: number): CpuReading {
  ticksPerSecond ||= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name, in parentheses, may hold spaces: count the fields after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[UTIME_FIELD]) + Number(fields[STIME_FIELD])
  return { totalUs: (ticks / ticksPerSecond) * 1e6, threadsUs: readThreads(pid) }
}

export function cpuUsBetween(before: CpuReading, after: CpuReading): number {
  const totalUs = after.totalUs - before.totalUs
  let threadsUs = 0
  for (const [thread, us] of after.threadsUs) threadsUs += us - (before.threadsUs.get(thread) ?? 0)
  return Math.abs(totalUs - threadsUs) <= ROUNDING_US_MAX ? threadsUs : totalUs
}

function readThreads(pid: number): Map<string, number> {
  const threadsUs = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const schedstat = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')
      threadsUs.set(thread, Number(schedstat.split(' ')[0]) / 1000)
    } catch {
      // The kernel keeps no schedstat, or the thread ended since the folder was read.
    }
  }
  return threadsUs
}
