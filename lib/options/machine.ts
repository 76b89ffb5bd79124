// What the machine gives this process: memory and processors, as the kernel bounds them. In a
// container, or a unit of systemd with limits, that is less than the machine has:
//
//   /proc/self/cgroup     4:memory:/a/b   0::/a/b      where the process is, in each hierarchy
//   /proc/self/mountinfo  root and mount point         which folder that is here
//   the folder and those above it, up to the mount point: the lowest limit counts
//
// Version 2 has one hierarchy (memory.max, cpu.max), version 1 one for each controller
// (memory.limit_in_bytes, cpu.cfs_quota_us); a machine may have both. A container may see its own
// group as the root of everything: a path that leads out of what is mounted is the mount point.
// What cannot be read sets no limit. Node's own answer, os.availableParallelism, also falls with
// the weight of a group, which is no limit.

import { readFileSync, statfsSync } from 'node:fs'
import { totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { MIB } from '../bytes/units.ts'

/** What the runtime takes beside the items: Node.js itself, each thread, and by their number. */
const RUNTIME_BYTES = 96 * MIB
const THREAD_BYTES = 24 * MIB
const ITEMS_SHARE = 1 / 16
/** What is left to the system where this process may have all memory of the machine. */
const SYSTEM_BYTES = 256 * MIB
/** An automatic limit is a multiple of this, so that equal machines have equal ones. */
const STEP_BYTES = 16 * MIB
/** More threads than this are never chosen. */
const THREADS_CHOSEN_MAX = 64
/** Of tmpfs, from statfs(2). */
const TMPFS_MAGIC = 0x01021994

export interface Machine {
  /** The lowest limit of memory; undefined: none but the machine's memory. */
  memoryLimitBytes: number | undefined
  memoryBytes: number
  /** Processors that threads can use, at least 1; a part of one counts as one. */
  processors: number
}

interface Mount {
  root: string
  point: string
  /** Of version 1; empty: version 2. */
  controllers: readonly string[]
}

/** `root`: where /proc and /sys are; it and `memoryBytes`, the machine's, are others in tests. */
export function readMachine(root = '/', memoryBytes = totalmem()): Machine {
  const own = textOf(join(root, 'proc/self/cgroup'))
  const mounts = mountsOf(textOf(join(root, 'proc/self/mountinfo')))
  const foldersOf = (controller: string) => groupFolders(root, own, mounts, controller)
  const memory = foldersOf('memory').flatMap(folder =>
    ['memory.max', 'memory.high', 'memory.limit_in_bytes'].map(name =>
      numberIn(join(folder, name)),
    ),
  )
  const least = Math.min(...memory)
  const quota = Math.min(...foldersOf('cpu').map(quotaOf))
  const allowed = allowedProcessors(textOf(join(root, 'proc/self/status')))
  return {
    // Version 1 has a number that no machine reaches where there is no limit.
    memoryLimitBytes: least < memoryBytes ? least : undefined,
    memoryBytes,
    processors: Math.max(1, Math.min(allowed, Math.ceil(quota))),
  }
}

/** Of `-t auto`. */
export function fittingThreads({ processors }: Machine): number {
  return Math.min(processors, THREADS_CHOSEN_MAX)
}

/**
 * Of `-m auto`, bytes: what is left beside the runtime; half of it where the content lies in memory
 * a second time (`-e` on a tmpfs). At least one step, whatever the limit is.
 */
export function fittingMemory(
  machine: Machine,
  threads: number,
  memoryFile: string | undefined,
): number {
  const { memoryLimitBytes, memoryBytes } = machine
  const all = memoryLimitBytes ?? memoryBytes - SYSTEM_BYTES
  const left = (all - runtimeBytes(threads)) / (1 + ITEMS_SHARE)
  const copies = memoryFile !== undefined && isInMemory(memoryFile) ? 2 : 1
  return Math.max(STEP_BYTES, Math.floor(left / copies / STEP_BYTES) * STEP_BYTES)
}

/** Whether a process with these options stays below the limit when it is full. */
export function fits(machine: Machine, memoryBytes: number, threads: number): boolean {
  const { memoryLimitBytes = Number.POSITIVE_INFINITY } = machine
  return memoryBytes * (1 + ITEMS_SHARE) + runtimeBytes(threads) <= memoryLimitBytes
}

function runtimeBytes(threads: number): number {
  return RUNTIME_BYTES + threads * THREAD_BYTES
}

function isInMemory(path: string): boolean {
  try {
    return statfsSync(dirname(path)).type === TMPFS_MAGIC
  } catch {
    // Where the folder is missing, opening the file says so.
    return false
  }
}

/** The folders of this process's group and of those above it, in both versions. */
function groupFolders(
  root: string,
  own: string,
  mounts: readonly Mount[],
  controller: string,
): string[] {
  return own.split('\n').flatMap(line => {
    const [, names = '', path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === undefined) return []
    const isSecond = names === ''
    if (!isSecond && !names.split(',').includes(controller)) return []
    const mount = mounts.find(({ controllers }) =>
      isSecond ? controllers.length === 0 : controllers.includes(controller),
    )
    if (mount === undefined) return []
    return upwards(insideOf(mount, path)).map(inner => join(root, mount.point, inner))
  })
}

/** Where a path of /proc/self/cgroup is below the mount point: `/` where it leads out of it. */
function insideOf({ root, point }: Mount, path: string): string {
  if (point === '' || path.includes('/..')) return '/'
  if (root === '/') return path
  return path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : '/'
}

function upwards(path: string): string[] {
  const paths = [path]
  for (let at = path; at !== '/' && at !== ''; ) {
    at = dirname(at)
    paths.push(at)
  }
  return paths
}

// 31 23 0:28 ROOT POINT rw,relatime - cgroup2 cgroup2 rw
function mountsOf(text: string): Mount[] {
  return text.split('\n').flatMap(line => {
    const [left = '', right = ''] = line.split(' - ')
    const [, , , root = '', point = ''] = left.split(' ')
    const [type = '', , options = ''] = right.split(' ')
    if (type !== 'cgroup' && type !== 'cgroup2') return []
    return [{ root, point, controllers: type === 'cgroup' ? options.split(',') : [] }]
  })
}

/** Processors a group may use: `150000 100000` and `max 100000`, or two files; -1: no limit. */
function quotaOf(folder: string): number {
  const [quota = '', period = ''] = textOf(join(folder, 'cpu.max')).split(/\s+/)
  if (/^\d+$/.test(quota)) return Number(quota) / (Number(period) || Number.POSITIVE_INFINITY)
  const quotaUs = numberIn(join(folder, 'cpu.cfs_quota_us'))
  const periodUs = numberIn(join(folder, 'cpu.cfs_period_us'))
  return Number.isFinite(quotaUs) ? quotaUs / periodUs : Number.POSITIVE_INFINITY
}

/** Of the process's affinity, which a cpuset bounds too: `0-3,8`. */
function allowedProcessors(status: string): number {
  const [, list = '0'] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status) ?? []
  return list.split(',').reduce((sum, range) => {
    const [first, last = first] = range.split('-').map(Number)
    return sum + Number(last) - Number(first) + 1
  }, 0)
}

/** Infinity if the file has no such number. */
function numberIn(path: string): number {
  const [, digits] = /^(\d+)\s*$/.exec(textOf(path)) ?? []
  return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits)
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
