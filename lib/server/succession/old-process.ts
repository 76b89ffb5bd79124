// An upgrade, from the side of the old process: it starts the new one, gives it the listening
// sockets and the content, and ends. Until the last step nothing is lost if the new one fails: it
// is killed, and this process goes on. Clients wait while the threads stand still.
//
// The new process is started as this one was: the same words, looked up again, so that it runs what
// is installed now.

import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { resolve as resolvePath } from 'node:path'
import { GIB } from '../../bytes/units.ts'
import type { Cache } from '../../engine/cache.ts'
import { formOf } from '../../keeping/image/adopt.ts'
import { sharedMs } from '../../keeping/image/channel.ts'
import { headerOf, LAYOUT_VERSION } from '../../keeping/image/image-header.ts'
import type { Loaded } from '../../keeping/image/load-arena.ts'
import type { PassedFile } from '../../keeping/image/memory-file.ts'
import { descriptorOf } from '../line/node-handle.ts'
import type { PassedListener } from '../listen/address.ts'
import { Assembly } from '../relay/assembly.ts'
import { pipes } from '../relay/relay.ts'
import type { Roster } from '../roster.ts'
import type { Workers } from '../workers.ts'
import {
  arenasOf,
  type Content,
  LEGACY_VARIABLE,
  type Legacy,
  type Ready,
  type Serving,
  type Take,
} from './legacy.ts'
import {
  CARRIED_MS_PER_GIB,
  GATHER_MS_MAX,
  HANDOVER_MS_MIN,
  HANDOVER_MS_PER_GIB,
  HANDOVER_SLACK_MS,
  STREAMS_MAX,
  TAKE_MS_MAX,
  UPGRADE_START_MS_MAX,
} from './limits.ts'

/** What goes over. */
export interface Estate {
  cache: Cache
  workers: Workers
  roster: Roster
  ownVersion: string
  countedSinceS: number
  listeners: PassedListener[]
  /** The file of -e. */
  memoryFile: PassedFile | undefined
}

export interface HandedOver {
  pid: number
  loaded: Loaded
  /** How long no request was run, milliseconds. */
  waitedMs: number
}

/** Behind the three standard streams and the channel for messages. */
const FIRST_PIPE = 4
/** Before a daemon in the background changes its folder. */
const STARTED_IN = process.cwd()

/**
 * Starts the new process and gives it everything. `leave` is called at the point of no return: it
 * must stop to accept and to run requests at once. Rejects with an Error of one line; if `leave`
 * was not called by then, this process goes on as before.
 */
export async function handOver(estate: Estate, leave: (pid: number) => void): Promise<HandedOver> {
  if (process.pid === 1) throw new Error('process 1 cannot be replaced, its container would end')
  const unknown = estate.listeners.find(({ descriptor }) => descriptor < 0)
  if (unknown !== undefined) throw new Error(`this Node.js cannot pass ${unknown.kind} sockets on`)
  const child = startSuccessor(estate)
  let hasLeft = false
  try {
    const { ready } = await messageOf<Ready>(child, 'ready', UPGRADE_START_MS_MAX)
    const startedMs = performance.now()
    give(estate, child, ready)
    hasLeft = true
    const { pid = 0 } = child
    leave(pid)
    const waitedMs = performance.now() - startedMs
    const { serving } = await messageOf<Serving>(child, 'serving', TAKE_MS_MAX)
    return { pid, loaded: serving, waitedMs }
  } catch (error) {
    if (!hasLeft) child.kill('SIGKILL')
    throw error
  }
}

function startSuccessor(estate: Estate): ChildProcess {
  const { cache, listeners, countedSinceS, memoryFile } = estate
  const streams = Math.min(cache.shards.length, STREAMS_MAX)
  const files = memoryFile === undefined ? listeners : [...listeners, memoryFile]
  const firstFile = FIRST_PIPE + streams
  const legacy: Legacy = {
    layout: LAYOUT_VERSION,
    forms: cache.shards.map(({ arena }) => formOf(arena)),
    seeds: cache.seeds(),
    startedS: cache.handle.startedS,
    countedSinceS,
    streams: Array.from({ length: streams }, (_, i) => FIRST_PIPE + i),
    listeners: listeners.map((listener, i) => ({ ...listener, descriptor: firstFile + i })),
    memoryFile: memoryFile && { ...memoryFile, descriptor: firstFile + listeners.length },
  }
  const { MEMSLAB_DETACHED, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, WATCHDOG_PID, ...env } =
    process.env
  const [, script = ''] = process.argv
  const program = process.argv0.includes('/')
    ? resolvePath(STARTED_IN, process.argv0)
    : process.argv0
  const child = spawn(program, [...process.execArgv, script, ...process.argv.slice(2)], {
    cwd: STARTED_IN,
    env: { ...env, [LEGACY_VARIABLE]: JSON.stringify(legacy) },
    stdio: [
      'ignore',
      'inherit',
      'inherit',
      'ipc',
      ...legacy.streams.map(() => 'pipe' as const),
      ...files.map(({ descriptor }) => descriptor),
    ],
  })
  // The threads that write into the pipes tell what went wrong. Here it would end this process.
  for (const pipe of pipesOf(child)) pipe.on('error', () => {})
  return child
}

/** One for each stream of the content. */
function pipesOf(child: ChildProcess): Socket[] {
  return child.stdio.slice(FIRST_PIPE).filter(pipe => pipe !== null) as Socket[]
}

/** Gives the content. Throws if that fails: then the threads go on as before. */
function give(
  estate: Estate,
  child: ChildProcess,
  { isSameForm, needsSums = true }: Ready['ready'],
): void {
  const { cache, workers, roster, ownVersion } = estate
  const threads = roster.handle.threads
  if (workers.readyCount() < threads) throw new Error('a worker is being replaced just now')
  const msPerGib = isSameForm ? HANDOVER_MS_PER_GIB : CARRIED_MS_PER_GIB
  const limitMs = HANDOVER_MS_MIN + (cache.bytesInUse() / GIB) * msPerGib
  const deadlineMs = sharedMs() + GATHER_MS_MAX + limitMs + HANDOVER_SLACK_MS
  const assembly = new Assembly(threads)
  const sockets = pipesOf(child)
  workers.relay({
    name: 'upgrade',
    gives: true,
    hasSums: needsSums,
    keepsCounters: true,
    places: pipes(sockets.length),
    board: assembly.buffer,
    workers: threads,
    header: null,
    streams: sockets.map((socket, i) => ({
      descriptor: descriptorOf(socket),
      arenas: arenasOf(i, sockets.length, cache.shards.length),
    })),
    deadlineMs,
  })
  let isCopying = false
  try {
    if (!assembly.gather(GATHER_MS_MAX)) {
      throw new Error(`the threads did not come to rest in ${GATHER_MS_MAX} ms`)
    }
    assembly.copy()
    isCopying = true
    const content: Content = { content: headerOf(cache, ownVersion), deadlineMs }
    child.send(content)
    if (!assembly.copied(limitMs)) {
      const how = assembly.hasFailed ? '' : ` in ${Math.ceil(limitMs / 1000)} s`
      throw new Error(`the new process did not take the content${how}`)
    }
    if (!assembly.leave()) throw new Error('a thread did not wait')
  } catch (error) {
    // Before anybody goes on: it must not come to life with what is old by then.
    child.kill('SIGKILL')
    // Nor may a thread write into a pipe that this one closes when it hears of that end: its number
    // may be a client's connection by then.
    if (isCopying) assembly.copied(HANDOVER_SLACK_MS)
    assembly.resume()
    throw error
  }
  const take: Take = { take: roster.sums() }
  child.send(take)
}

/** The message with this field. Rejects if the process ends before, or takes too long. */
function messageOf<T extends object>(
  child: ChildProcess,
  field: keyof T & string,
  waitMs: number,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const timer = setTimeout(
    () => reject(new Error(`the new process did not say "${field}" in ${waitMs / 1000} s`)),
    waitMs,
  )
  const onMessage = (message: unknown) => {
    if (typeof message === 'object' && message !== null && field in message) resolve(message as T)
  }
  const onExit = (code: number | null, signal: string | null) => {
    const how = signal === null ? `exit code ${code}` : signal
    reject(new Error(`the new process ended before it could serve (${how})`))
  }
  const onError = ({ message }: Error) => reject(new Error(`it cannot be started: ${message}`))
  child.on('message', onMessage)
  child.once('exit', onExit)
  child.once('error', onError)
  return promise.finally(() => {
    clearTimeout(timer)
    child.off('message', onMessage)
    child.off('exit', onExit)
    // A late error of the channel has nobody left to tell.
    child.on('error', () => {})
  })
}
