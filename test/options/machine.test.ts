// What a container or a unit may use, read from files as the kernel has them, and the values of
// `-m auto` and `-t auto` that follow.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { GIB, MIB } from '../../lib/bytes/units.ts'
import { readCommandLine } from '../../lib/cli.ts'
import { fits, fittingMemory, fittingThreads, readMachine } from '../../lib/options/machine.ts'
import { isRefusal, type Options } from '../../lib/options/options.ts'

const MEMORY_BYTES = 16 * GIB
const GROUPS = '/sys/fs/cgroup'
/** Version 2: mounted as it is; and from a group of it, without a name space of its own. */
const SECOND = `29 23 0:26 / ${GROUPS} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n`
const SECOND_BOUND = SECOND.replace(' / /sys', ' /docker/abc /sys')
const first = (root: string) =>
  ['cpu,cpuacct', 'memory']
    .map(name => `3 2 0:3 ${root} ${GROUPS}/${name} rw - cgroup cgroup rw,${name}\n`)
    .join('')
const UNLIMITED = '9223372036854771712\n'

/** A machine of eight processors with these files. */
function machineOf(t: Test, cgroup: string, mountinfo: string, files: Record<string, string>) {
  const root = t.testdir()
  const all = {
    'proc/self/cgroup': cgroup,
    'proc/self/mountinfo': `23 1 8:1 / / rw - ext4 /dev/vda rw\n${mountinfo}`,
    'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-7\n',
    ...Object.fromEntries(
      Object.entries(files).map(([name, text]) => [name.replace(/^@/, `${GROUPS}/`), text]),
    ),
  }
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return readMachine(root, MEMORY_BYTES)
}

const NONE = { memoryLimitBytes: undefined, memoryBytes: MEMORY_BYTES, processors: 8 }

t.test('limits of version 2', async t => {
  const inside = (files: Record<string, string>) => machineOf(t, '0::/\n', SECOND, files)
  t.same(inside({}), NONE, 'the root of the machine has no files of limits')
  t.same(inside({ '@memory.max': 'max\n', '@cpu.max': 'max 100000\n' }), NONE)
  t.match(inside({ '@memory.max': '536870912\n' }), { memoryLimitBytes: 512 * MIB })
  t.match(inside({ '@memory.max': 'max\n', '@memory.high': `${GIB}\n` }), { memoryLimitBytes: GIB })
  t.match(inside({ '@memory.max': `${64 * GIB}\n` }), { memoryLimitBytes: undefined })
  t.match(inside({ '@cpu.max': '200000 100000\n' }), { processors: 2 })
  t.match(inside({ '@cpu.max': '150000 100000\n' }), { processors: 2 })
  t.match(inside({ '@cpu.max': '5000 100000\n' }), { processors: 1 })
  t.match(inside({ '@cpu.max': '6400000 100000\n' }), { processors: 8 })
  t.match(inside({ '@cpu.max': '200000 0\n' }), { processors: 1 }, 'no number of the kernel')
})

t.test('the lowest limit of a group and those above it counts', async t => {
  const files = {
    '@a.slice/b.service/memory.max': `${4 * GIB}\n`,
    '@a.slice/memory.max': `${2 * GIB}\n`,
    '@a.slice/cpu.max': '300000 100000\n',
    '@other/memory.max': `${MIB}\n`,
  }
  const machine = machineOf(t, '0::/a.slice/b.service\n', SECOND, files)
  t.match(machine, { memoryLimitBytes: 2 * GIB, processors: 3 })
})

t.test('a container that sees its own group only', async t => {
  const files = { '@memory.max': `${GIB}\n`, '@cpu.max': '100000 100000\n' }
  const wanted = { memoryLimitBytes: GIB, processors: 1 }
  t.match(machineOf(t, '0::/docker/abc\n', SECOND_BOUND, files), wanted)
  t.match(machineOf(t, '0::/\n', SECOND_BOUND, files), wanted, 'with a name space')
  t.match(machineOf(t, '0::/../other\n', SECOND, files), wanted, 'moved out of its name space')
  t.match(machineOf(t, '0::/docker/abcd\n', SECOND_BOUND, files), wanted, 'another of its name')
})

t.test('limits of version 1, and of both', async t => {
  const cgroup = '5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n'
  const limits = {
    'memory/memory.limit_in_bytes': `${GIB}\n`,
    'cpu,cpuacct/cpu.cfs_quota_us': '250000\n',
    'cpu,cpuacct/cpu.cfs_period_us': '100000\n',
  }
  const at = (folder: string) =>
    Object.fromEntries(
      Object.entries(limits).map(([name, text]) => [`@${name.replace('/', folder)}`, text]),
    )
  const wanted = { memoryLimitBytes: GIB, processors: 3 }
  t.match(machineOf(t, cgroup, first('/'), at('/docker/abc/')), wanted)
  t.match(machineOf(t, cgroup, first('/docker/abc'), at('/')), wanted)
  const none = { '@memory/memory.limit_in_bytes': UNLIMITED, '@cpu,cpuacct/cpu.cfs_quota_us': '-1' }
  t.same(machineOf(t, cgroup, first('/'), none), NONE)
  const unified = SECOND.replace(GROUPS, `${GROUPS}/unified`)
  t.match(machineOf(t, `${cgroup}0::/\n`, first('/') + unified, at('/docker/abc/')), wanted)
})

t.test('affinity, and files that nobody can read', async t => {
  const status = { 'proc/self/status': 'Cpus_allowed_list:\t0-1,4,6-7\n' }
  t.match(machineOf(t, '0::/\n', SECOND, status), { processors: 5 })
  const nothing = { memoryLimitBytes: undefined, memoryBytes: MEMORY_BYTES, processors: 1 }
  t.same(readMachine(join(t.testdir({}), 'missing'), MEMORY_BYTES), nothing)
  t.match(machineOf(t, 'nonsense\n0::', 'nonsense\n - \n', {}), { processors: 8 })
})

t.test('what fits', async t => {
  const machine = { memoryLimitBytes: GIB, memoryBytes: MEMORY_BYTES, processors: 2 }
  t.equal(fittingThreads(machine), 2)
  t.equal(fittingThreads({ ...machine, processors: 200 }), 64)
  for (const mib of [256, 512, 1000, 4096, 100_000]) {
    for (const threads of [1, 2, 8]) {
      const limited = { ...machine, memoryLimitBytes: mib * MIB }
      const bytes = fittingMemory(limited, threads, undefined)
      const isEnough = mib > 256 || threads < 8
      t.equal(fits(limited, bytes, threads), isEnough, `${mib} MiB, ${threads} threads`)
      t.equal(fits(limited, bytes + 32 * MIB, threads), false)
    }
  }
  t.equal(fittingMemory({ ...machine, memoryLimitBytes: MIB }, 4, undefined), 16 * MIB)
  const free = { ...machine, memoryLimitBytes: undefined }
  const whole = fittingMemory(free, 2, undefined)
  t.ok(whole < MEMORY_BYTES && whole > 14 * GIB && fits(free, whole, 2), `${whole} of all`)
  t.equal(fittingMemory(free, 2, '/tmp/missing/memory'), whole)
  const inMemory = fittingMemory(free, 2, '/dev/shm/memory')
  t.ok(Math.abs(inMemory - whole / 2) <= 16 * MIB, `${inMemory} where it is there twice`)
})

t.test('-m auto and -t auto', async t => {
  const optionsOf = async (line: string) => {
    const command = await readCommandLine(line.split(' '))
    if (isRefusal(command) || command.action !== 'serve') throw new Error(line)
    return command.options as Options
  }
  const machine = readMachine()
  const threads = fittingThreads(machine)
  const { threads: chosen, memoryLimitBytes } = await optionsOf('-m auto -t auto')
  t.same([chosen, memoryLimitBytes], [threads, fittingMemory(machine, threads, undefined)])
  t.equal((await optionsOf('-m auto -m 100')).memoryLimitBytes, 100 * MIB)
  const many = fittingMemory(machine, 7, undefined)
  t.equal((await optionsOf('-m auto -t 7')).memoryLimitBytes, many, 'what the threads leave')
  t.match(await readCommandLine(['-m', 'automatic']), { line: /Illegal value "automatic" for -m/ })
  t.match(await readCommandLine(['-t', 'au']), { line: /Illegal value "au" for -t/ })
})
