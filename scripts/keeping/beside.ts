// What clients notice of snapshots: p99 over sockets while one is written, beside the same load
// without one. Requests come at a rate that the server keeps up with, whether or not the last was
// answered. The three kinds of round take turns, so that noise of the machine hits all alike. The
// load keeps one core busy: on less than four, what is measured is also who gets the others.

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { CASES } from '../bench/cases.ts'
import { Driver } from '../bench/driver.ts'
import { hasEnded, start, stopAllOnExit } from '../bench/processes.ts'
import { memslabCommand, type Server, startServer, stopServer } from '../bench/servers.ts'
import { fill } from './warm-restart.ts'

export const BESIDE_HEAD = ['clients meanwhile', 'p50 us', 'p99 us', 'longest ms', 'p99, ratio']

const LOAD = 'mix-d1'
const THREADS = 2
const ROUNDS = 7
const ROUND_S = 5
/** Share of what the server does at most. */
const PACE = 0.2
const SEED = 1

interface Kind {
  name: string
  driver: Driver
  /** Runs during a round; resolves to what ends it. */
  begin(): () => Promise<void>
}

interface Round {
  p50Us: number
  p99Us: number
  longestUs: number
}

/** Rows of the table, for values of one size, `mib` MiB of them. */
export async function measureBeside(
  folder: string,
  mib: number,
  valueBytes: number,
): Promise<string[][]> {
  stopAllOnExit()
  const load = CASES.find(({ name }) => name === LOAD)
  if (load === undefined) throw new Error(`there is no case ${LOAD}`)
  const items = Math.floor((mib * 2 ** 20) / valueBytes)
  const memoryMib = Math.ceil((items * (valueBytes + 110) * 1.1) / 2 ** 20) + 128
  const scheduled = join(folder, `every-${valueBytes}`)
  mkdirSync(scheduled)
  const schedule = ['--snapshot-dir', scheduled, '--snapshot-every', '1s', '--snapshot-keep', '1']
  const servers: Server[] = []
  const drivers: Driver[] = []
  for (const more of [[], schedule]) {
    const command = [...memslabCommand(), ...more]
    const server = await startServer({ name: 'memslab', command, threadCount: THREADS, memoryMib })
    await fill(server, items, valueBytes)
    const driver = new Driver(undefined)
    await driver.prepare({ port: server.port, tls: undefined }, load, SEED)
    servers.push(server)
    drivers.push(driver)
  }
  const [{ port }] = servers
  const kinds: Kind[] = [
    { name: 'no snapshot', driver: drivers[0], begin: () => async () => {} },
    {
      name: 'snapshots on request',
      driver: drivers[0],
      begin: () => repeat(['snapshot', `127.0.0.1:${port}`, '--to', join(folder, 'asked')]),
    },
    { name: 'snapshots on a schedule', driver: drivers[1], begin: () => async () => {} },
  ]
  const most = await drivers[0].run(ROUND_S)
  const ratePerS = (most.requestCount / most.seconds) * PACE
  const rounds = await measure(kinds, ratePerS)
  for (const driver of drivers) await driver.stop()
  for (const server of servers) await stopServer(server)
  return kinds.map(({ name }) => rowOf(`${name}, ${valueBytes} bytes`, rounds, name))
}

async function measure(
  kinds: readonly Kind[],
  ratePerS: number,
): Promise<ReadonlyMap<string, Round[]>> {
  const rounds = new Map<string, Round[]>(kinds.map(({ name }) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, driver, begin } of kinds) {
      const end = begin()
      const found = await driver.run(ROUND_S, ratePerS)
      await end()
      rounds.get(name)?.push(found)
      console.log(`${name}: p99 ${found.p99Us.toFixed(0)} us`)
    }
  }
  return rounds
}

/** Runs a command of memslab again and again. Returns what stops that. */
function repeat(words: readonly string[]): () => Promise<void> {
  let goesOn = true
  const run = async () => {
    while (goesOn) {
      const child = start([...memslabCommand(), ...words], undefined, { stdio: 'ignore' })
      await once(child, 'exit')
      if (hasEnded(child) && child.exitCode !== 0) throw new Error('a snapshot failed')
    }
  }
  const running = run()
  return () => {
    goesOn = false
    return running
  }
}

/** Medians, and of the ratio of p99 the median of the rounds that were side by side. */
function rowOf(title: string, all: ReadonlyMap<string, Round[]>, name: string): string[] {
  const rounds = all.get(name) ?? []
  const without = all.get('no snapshot') ?? []
  const ratios = rounds.map(({ p99Us }, i) => p99Us / without[i].p99Us)
  const row = [
    title,
    median(rounds.map(({ p50Us }) => p50Us)).toFixed(0),
    median(rounds.map(({ p99Us }) => p99Us)).toFixed(0),
    (median(rounds.map(({ longestUs }) => longestUs)) / 1000).toFixed(1),
    median(ratios).toFixed(2),
  ]
  console.log(row.join('  '))
  return row
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
}
