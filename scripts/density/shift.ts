// `npm run bench:density -- --shift`: what memslab and memcached keep when what is stored changes,
// and for how long memslab holds a lock at most, which is measured in this process in a larger
// memory. Each lock is timed by the clock, less what the thread waited for a core, in several
// rounds of the same work; of each lock the shortest time counts (recurring.ts).

import { setTimeout as sleep } from 'node:timers/promises'
import { Caller } from '../bench/caller.ts'
import { plainTable } from '../bench/report.ts'
import { type ServerSpec, startServer, stopServer } from '../bench/servers.ts'
import { PATTERNS, type Pattern, type Target } from './patterns.ts'
import { Recurring } from './recurring.ts'

const MIB = 2 ** 20
/** Rounds in which locks are timed, until no time is longer than this. */
const HOLD_ROUNDS_MAX = 4
const HOLD_ENOUGH_MS = 0.2
const HEAD = ['pattern', 'memcached', 'memslab', 'ratio', 'longest lock hold ms']

export interface ShiftOptions {
  theirs: ServerSpec
  ours: ServerSpec
  /** Memory in which locks are timed, MiB. */
  holdMib: number
  only: string
}

/** Prints a row a pattern: items kept, or hits in hundredths of a percent. */
export async function compareShifts(options: ShiftOptions): Promise<void> {
  const rows = [HEAD]
  for (const pattern of PATTERNS.filter(({ name }) => name.includes(options.only))) {
    const theirs = await measure(options.theirs, pattern)
    const ours = await measure(options.ours, pattern)
    const holdMs = await longestHoldMs(pattern, options)
    rows.push([
      pattern.name,
      String(theirs),
      String(ours),
      (ours / theirs).toFixed(3),
      holdMs.toFixed(3),
    ])
    console.log(rows.at(-1)?.join('  '))
  }
  console.log(
    `\n-m ${options.ours.memoryMib} -t ${options.ours.threadCount}; locks timed in ${options.holdMib} MiB`,
  )
  console.log(plainTable(rows))
}

async function measure(spec: ServerSpec, pattern: Pattern): Promise<number> {
  const command = [...spec.command, ...(pattern.flags ?? [])]
  const server = await startServer({ ...spec, command }, undefined)
  const caller = await Caller.open(server.port)
  const target: Target = {
    set: (entries, verb) => caller.set(entries, verb),
    get: keys => caller.get(keys),
    remove: keys => caller.remove(keys),
    flush: () => caller.flush(),
    wait: seconds => sleep(seconds * 1000),
  }
  try {
    return await pattern.run(target, (spec.memoryMib ?? 0) * MIB)
  } finally {
    caller.close()
    await stopServer(server)
  }
}

async function longestHoldMs(pattern: Pattern, options: ShiftOptions): Promise<number> {
  if (options.holdMib === 0) return Number.NaN
  // The engine is loaded behind the hooks, which put a clock on its locks.
  await import('../latency/hooks.ts')
  const { EngineTarget } = await import('./engine-target.ts')
  const { holds } = await import('../latency/timed-lock.ts')
  const recurring = new Recurring()
  const bytes = options.holdMib * MIB
  const evictions = !pattern.flags?.includes('-M')
  let longestMs = 0
  for (let round = 0; round < HOLD_ROUNDS_MAX; round++) {
    const target = new EngineTarget(bytes, options.ours.threadCount, evictions)
    holds.watch = ms => recurring.add(ms)
    await pattern.run(target, bytes)
    longestMs = recurring.endRound()
    if (longestMs < HOLD_ENOUGH_MS) break
  }
  return longestMs
}
