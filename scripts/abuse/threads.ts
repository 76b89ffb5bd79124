// The threads of one run: the attacker and the neighbour, each with an event loop of its own.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Target } from './attack.ts'

/** What an attack noticed: its peers that were lost, and why the first one was. */
export interface Noticed {
  lost: number
  reason: string
}

/** The counts of a Histogram. Fit for postMessage. */
export interface TimesReport {
  counts: Float64Array
  total: number
  longestUs: number
}

export interface NeighbourReport {
  requests: TimesReport
  connects: TimesReport
  misses: number
  refused: number
  wrong: number
  reason: string
}

const ATTACKER = new URL('./attacker.ts', import.meta.url)
const NEIGHBOUR = new URL('./neighbour-thread.ts', import.meta.url)

/** A server that does not answer for so long has failed. */
const HEAR_MS_MAX = 60_000

/** Every thread that has not ended. */
const running = new Set<Worker>()

export async function endThreads(): Promise<void> {
  await Promise.all([...running].map(thread => thread.terminate()))
}

export function startNeighbour(port: number, logsIn: boolean): Worker {
  return begin(NEIGHBOUR, { port, logsIn })
}

export function startAttacker(name: string, { port, tlsPort, udpPort }: Target): Worker {
  return begin(ATTACKER, { name, target: { port, tlsPort, udpPort } })
}

/** The next message of a thread. Throws the error that ended it, or one if it takes too long. */
export async function hear<T>(thread: Worker): Promise<T> {
  const [message] = await once(thread, 'message', { signal: AbortSignal.timeout(HEAR_MS_MAX) })
  return message as T
}

function begin(file: URL, workerData: object): Worker {
  const thread = new Worker(file, { workerData })
  running.add(thread)
  thread.once('exit', () => running.delete(thread))
  return thread
}
