// A warm restart (-e) of a whole server, timed from outside: from the signal to its end, and from
// the start to its first answer. Of memslab's start the load alone too, as its log has it: with the
// same options, and with an arena more. The file is best on a file system in memory.

import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MIB } from '../../lib/bytes/units.ts'
import { stderrOf, stopAllOnExit } from '../bench/processes.ts'
import {
  memcachedCommand,
  memslabCommand,
  type Server,
  startServer,
  whyNot,
} from '../bench/servers.ts'

export const WARM_HEAD = ['warm restart', 'end, s', 'start, s', 'of it load, s', 'items back']

const THREADS = 2
const REST_MS = 3000
/** Requests that are written at once. */
const BATCH = 256

interface Plan {
  name: string
  command: readonly string[]
  /** Of the second start. */
  nextThreads: number
}

/** Rows of the table, for values of one size, `mib` MiB of them. */
export async function measureWarmRestarts(
  folder: string,
  mib: number,
  valueBytes: number,
): Promise<string[][]> {
  stopAllOnExit()
  const ours = memslabCommand()
  const plans: Plan[] = [
    { name: 'memslab', command: ours, nextThreads: THREADS },
    { name: 'memslab, other options', command: ours, nextThreads: THREADS + 1 },
  ]
  // As nobody it could not open the file.
  const theirs = memcachedCommand().map(word => (word === 'nobody' ? 'root' : word))
  if (whyNot(theirs) === undefined) {
    plans.push({ name: 'memcached', command: theirs, nextThreads: THREADS })
  }
  const rows: string[][] = []
  for (const plan of plans) {
    const place = mkdtempSync(join(folder, 'warm-'))
    // memcached gives up root before it opens the file.
    chmodSync(place, 0o777)
    try {
      const row = await measure(plan, join(place, 'memory'), mib, valueBytes)
      console.log(row.join('  '))
      rows.push(row)
    } finally {
      rmSync(place, { recursive: true, force: true })
    }
  }
  return rows
}

async function measure(
  { name, command, nextThreads }: Plan,
  file: string,
  mib: number,
  valueBytes: number,
): Promise<string[]> {
  const items = Math.floor((mib * MIB) / valueBytes)
  const memoryMib = Math.ceil((items * (valueBytes + 110) * 1.1) / MIB) + 64
  const spec = { name, command: [...command, '-e', file], threadCount: THREADS, memoryMib }
  const first = await startServer(spec)
  await fill(first, items, valueBytes)
  const before = await itemCount(first)
  const endMs = performance.now()
  const ended = once(first.process, 'exit')
  first.process.kill('SIGUSR1')
  await ended
  const endSeconds = (performance.now() - endMs) / 1000
  // memcached refuses its file when no second has passed.
  await sleep(REST_MS)
  const next = await startServer({ ...spec, threadCount: nextThreads }, { pollMs: 5 })
  const after = await itemCount(next)
  next.process.kill('SIGKILL')
  await once(next.process, 'exit')
  const startSeconds = next.startMs / 1000
  return [
    `${name}, ${valueBytes} bytes`,
    endSeconds.toFixed(2),
    startSeconds.toFixed(2),
    /came back.* in ([\d.]+) s$/m.exec(stderrOf(next.process))?.[1] ?? '-',
    `${((after / before) * 100).toFixed(1)} %`,
  ]
}

/** Stores items of this size. */
export async function fill({ port }: Server, items: number, valueBytes: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.resume()
  const value = `${'v'.repeat(valueBytes)}\r\n`
  for (let i = 0; i < items; i += BATCH) {
    let text = ''
    for (let j = i; j < Math.min(i + BATCH, items); j++) {
      text += `set key-${j} 0 0 ${valueBytes} noreply\r\n${value}`
    }
    if (!socket.write(text, 'latin1')) await once(socket, 'drain')
  }
  socket.end('quit\r\n')
  await once(socket, 'close')
}

async function itemCount({ port }: Server): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  socket.end('stats\r\nquit\r\n')
  let text = ''
  for await (const chunk of socket) text += chunk
  return Number(/STAT curr_items (\d+)/.exec(text)?.[1])
}
