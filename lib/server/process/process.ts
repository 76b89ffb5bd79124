// The daemon as a process: open files, user, pid file, signals, and the background (-d). A failure
// to start is one line on stderr and an exit code. With -d the foreground process prints the line
// and exits with the code.

import { spawn } from 'node:child_process'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { isatty } from 'node:tty'
import { MIB } from '../../bytes/units.ts'
import { openAddressOf } from '../../options/checks.ts'
import { EXIT_OS_ERROR, type Options, type Refusal } from '../../options/options.ts'
import { LEAVE_MS_MAX } from '../succession/limits.ts'
import type { HandedOver } from '../succession/old-process.ts'
import { keepLines, print, reopenLog, say, takeLines } from '../system/log.ts'
import { fitOpenFiles } from '../system/open-files.ts'
import { packageVersion } from '../system/package.ts'
import { reasonFor, reasonOf } from '../system/reason.ts'
import {
  notify,
  notifyReloading,
  notifyStopping,
  notifyUpgraded,
  notifyUpgrading,
} from './service-manager.ts'
import type { ServiceWatch, Watched } from './service-watch.ts'
import { assume, identityFor } from './user.ts'

export interface Running extends Watched {
  /** Where it listens, as `stats conns` prints it: `tcp:127.0.0.1:11211`. */
  places: readonly string[]
  /** Resolves when it cannot serve any more, with the reason in one line. */
  failed: Promise<string>
  /** Reads password files and certificates again. Resolves when that is done. */
  reload(): Promise<void>
  /** Starts a new process in place of this one: see Daemon. */
  upgrade(): Promise<HandedOver>
  /** Another process goes on: this one only waits for its end. */
  hasLeft(): boolean
  /** Resolves when the last connection is closed, or `waitMs` is over. */
  emptied(waitMs: number): Promise<void>
  close(): Promise<void>
  /** How long that may take, ms; undefined: CLOSE_MS_MAX. */
  closeMsMax?: number | undefined
}

export type Start = (options: Options) => Promise<Running>

/** What the background process reports to the foreground process. */
type Report = Refusal | { listening: string; lines: string[] }

/** Fields of errors of a start besides Node's. */
interface Refused extends Partial<Refusal> {
  /** Where it failed to listen, if not TCP. */
  place?: string
}

/** What must be cleaned up at the end. */
interface Held {
  running: Running | undefined
  /** A reload was requested before it ran. */
  reloads: boolean
  pidFile: string | undefined
  removeSockets: (() => void) | undefined
  isUpgrading: boolean
  /** What a service manager hears meanwhile; undefined: there is none. */
  watch: ServiceWatch | undefined
}

/** Set for the background process. */
const DETACHED_VARIABLE = 'MEMSLAB_DETACHED'
const CLOSE_MS_MAX = 10_000
/** One Ctrl-C under npm is two signals. A later signal ends the process at once. */
const IMPATIENT_MS_MIN = 300

/** Whether this is the background process. */
export function isDetached(): boolean {
  return process.env[DETACHED_VARIABLE] !== undefined
}

/**
 * Starts the daemon in this process. Returns when it listens or has failed. `goesOn`: in place of
 * another process.
 */
export async function runHere(asked: Options, start: Start, goesOn: boolean): Promise<void> {
  const isTalking = asked.verbosity > 0
  nameProcess()
  if (isDetached() && !isTalking) keepLines()
  try {
    const [options, warning] = fitOpenFiles(asked)
    if (warning !== undefined) say(warning, 'warn')
    const identity = identityFor(options.user)
    const held: Held = {
      running: undefined,
      reloads: false,
      pidFile: undefined,
      removeSockets: undefined,
      isUpgrading: false,
      watch: undefined,
    }
    closeOnSignals(held)
    if (options.unixSocket !== undefined) {
      held.removeSockets = (await import('../listen/unix-listener.ts')).removeOwnSockets
    }
    held.running = await start(options)
    warnOfOpenAddress(options)
    if (held.reloads) await held.running.reload()
    if (identity !== undefined) assume(identity, ownSocket(options, held.running))
    held.pidFile = options.pidFile === undefined ? undefined : resolvePath(options.pidFile)
    if (held.pidFile !== undefined) writePidFile(held.pidFile)
    await tellStarted(held.running, isTalking)
    // The process before this one says that this one serves.
    if (!goesOn) notify('READY=1')
    endOnFailure(held)
    if (process.env.NOTIFY_SOCKET !== undefined) await serveManager(held, held.running)
  } catch (error) {
    await tellRefused(refusalFrom(error, asked))
  }
}

/** The UNIX socket of the options, unless a service manager has given others. */
function ownSocket({ unixSocket }: Options, { places }: Running): string | undefined {
  return places.includes(`unix:${unixSocket}`) ? unixSocket : undefined
}

/** Starts the same command line in the background. Returns when it listens or has failed. */
export async function runDetached(args: string[]): Promise<void> {
  const [, script = ''] = process.argv
  const childArgs = args.filter(arg => arg !== '--daemon')
  // As in memcached, a daemon with -v keeps its terminal.
  const isTalking = args.includes('--verbose')
  const output = isTalking ? 'inherit' : 'ignore'
  const child = spawn(process.execPath, [...process.execArgv, script, ...childArgs], {
    detached: true,
    stdio: ['ignore', output, output, 'ipc'],
    env: { ...process.env, [DETACHED_VARIABLE]: '1' },
  })
  const outcome = await new Promise<Report>(settle => {
    const died = (line: string) => settle({ line, exitCode: EXIT_OS_ERROR })
    child.once('message', message => settle(message as Report))
    child.once('error', error => died(`failed to daemonize: ${spawnReason(error)}`))
    child.once('exit', code => died(`the daemon ended before it listened (exit code ${code})`))
  })
  if ('line' in outcome) {
    say(outcome.line)
    process.exitCode = outcome.exitCode
  } else {
    for (const line of outcome.lines) say(line)
    if (isatty(2) && !isTalking) say(outcome.listening)
  }
  if (child.connected) child.disconnect()
  child.unref()
}

/** Not `node-MainThread`, for `ps`, `top` and `pgrep`. */
function nameProcess(): void {
  try {
    writeFileSync('/proc/self/comm', 'memslab')
  } catch {
    // Not Linux, or no /proc.
  }
}

async function serveManager(held: Held, running: Running): Promise<void> {
  const { ServiceWatch, watchdogMs } = await import('./service-watch.ts')
  held.watch = new ServiceWatch(notify, watchdogMs())
  held.watch.start(running)
  // Loaded now: when an upgrade is asked for, the files may be another version's.
  await import('../succession/old-process.ts')
}

/** Without /proc the runtime knows its own program only by the name of the call. */
function spawnReason({ code, message }: NodeJS.ErrnoException): string {
  if (code !== 'ENOENT') return message
  return `"${process.execPath}" is not the path of this program (is /proc mounted?)`
}

/** Prints one line to a terminal or with -v; memcached prints none. */
async function tellStarted({ places }: Running, isTalking: boolean): Promise<void> {
  const where = places.length === 0 ? 'nowhere' : `on ${places.join(', ')}`
  const listening = `memslab ${packageVersion()} listens ${where}`
  if (isTalking || isatty(2)) say(listening)
  if (!isDetached()) return
  process.chdir('/')
  await report({ listening, lines: takeLines() })
}

async function tellRefused(refusal: Refusal): Promise<never> {
  if (isDetached() && process.send !== undefined) await report(refusal)
  else say(refusal.line, 'error')
  process.exit(refusal.exitCode)
}

function report(outcome: Report): Promise<void> {
  return new Promise(settle => {
    const send = process.send?.bind(process)
    if (send === undefined) return settle()
    // The foreground process may be gone already, which does not matter.
    send(outcome, undefined, undefined, () => {
      if (process.connected) process.disconnect?.()
      settle()
    })
  })
}

function refusalFrom(error: unknown, { port, listenText }: Options): Refusal {
  if (!(error instanceof Error)) return { line: String(error), exitCode: EXIT_OS_ERROR }
  const { exitCode, syscall, errno, place } = error as Error & NodeJS.ErrnoException & Refused
  if (exitCode !== undefined) return { line: error.message, exitCode }
  const isPlace = place !== undefined || ['bind', 'listen', 'getaddrinfo'].includes(syscall ?? '')
  if (!isPlace) return { line: error.message, exitCode: EXIT_OS_ERROR }
  const reason = syscall === 'getaddrinfo' ? 'Name or service not known' : reasonFor(errno)
  const tcp = listenText === undefined ? `TCP port ${port}` : `one of interface(s) ${listenText}`
  return { line: `failed to listen on ${place ?? tcp}: ${reason}`, exitCode: EXIT_OS_ERROR }
}

// ---- the pid file

// Written under another name and renamed: a reader finds a complete number or no file. As in
// memcached, a file that cannot be written is logged and the daemon goes on.
function writePidFile(pidFile: string): void {
  const beside = `${pidFile}.tmp`
  try {
    writeFileSync(beside, `${process.pid}\n`)
    renameSync(beside, pidFile)
  } catch (error) {
    say(`Could not open the pid file ${beside} for writing: ${reasonOf(error)}`, 'warn')
  }
}

function removePidFile(pidFile: string): void {
  try {
    if (readFileSync(pidFile, 'utf8') === `${process.pid}\n`) rmSync(pidFile)
  } catch {
    // It was removed, or this user may not remove it: either is fine at the end.
  }
}

function warnOfOpenAddress(options: Options): void {
  const address = openAddressOf(options)
  if (address === undefined) return
  const advice = 'listen on 127.0.0.1 (-l), or say who may (--allow, --acl, TLS with certificates)'
  say(`warning: everybody who reaches ${address} may read and change everything: ${advice}`, 'warn')
}

// ---- signals

// Installed before the daemon listens: a process that finds the port open may send a signal at
// once.
function closeOnSignals(held: Held): void {
  const terminals = [0, 1, 2].filter(isatty)
  let closingMs: number | undefined
  const close = (tell: () => void) => {
    const nowMs = performance.now()
    if (closingMs !== undefined) {
      if (nowMs - closingMs >= IMPATIENT_MS_MIN) process.exit(0)
      return
    }
    closingMs = nowMs
    tell()
    void closeAndExit(held.running, 0)
  }
  process.on('SIGTERM', () => close(() => void print('Signal handled: Terminated.\n')))
  process.on('SIGINT', () => close(() => void print('Signal handled: Interrupt.\n')))
  // Node would open its debugger on this one; memcached stops gracefully.
  process.on('SIGUSR1', () => close(() => say('Gracefully stopping')))
  process.on('SIGUSR2', () => {
    if (closingMs === undefined) void upgrade(held)
  })
  // As in memcached, password files and certificates are read again. The signal also comes when the
  // daemon's terminal is closed; then, unlike memcached, it stops.
  process.on('SIGHUP', () => {
    reopenLog()
    if (!terminals.every(isatty)) close(() => void print('Signal handled: Hangup.\n'))
    else if (held.running === undefined) held.reloads = true
    else void reload(held.running)
  })
  process.on('exit', () => {
    if (held.pidFile !== undefined) removePidFile(held.pidFile)
    // Already removed if the daemon was closed, but not if it was still starting.
    held.removeSockets?.()
  })
}

async function reload(running: Running): Promise<void> {
  notifyReloading()
  await running.reload()
  notify('READY=1')
}

/** Has a new process go on in place of this one, and ends; or goes on as before. */
async function upgrade(held: Held): Promise<void> {
  const { running } = held
  if (running === undefined || held.isUpgrading) {
    return say('upgrade: not now, this process is starting or upgrading', 'warn')
  }
  held.isUpgrading = true
  const watchdogMs = held.watch?.watchdogMs ?? 0
  notifyUpgrading(watchdogMs)
  try {
    const { pid, loaded, waitedMs } = await running.upgrade()
    held.watch?.stop()
    notifyUpgraded(watchdogMs, pid)
    const content = `${loaded.items} items, ${Math.round(loaded.bytes / MIB)} MiB`
    say(
      `upgrade: process ${pid} serves now, with ${content}; clients waited ${Math.round(waitedMs)} ms`,
    )
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    held.isUpgrading = false
    if (!running.hasLeft()) {
      notifyUpgraded(watchdogMs)
      return say(`upgrade: ${reason}; this process goes on`, 'error')
    }
    say(`upgrade: ${reason}`, 'error')
  }
  // Its files are the other process's by now.
  held.pidFile = undefined
  await running.emptied(LEAVE_MS_MAX)
  await closeAndExit(running, 0)
}

function endOnFailure(held: Held): void {
  void held.running?.failed.then(line => {
    say(line, 'error')
    return closeAndExit(held.running, EXIT_OS_ERROR)
  })
}

async function closeAndExit(running: Running | undefined, exitCode: number): Promise<void> {
  if (running?.hasLeft() !== true) notifyStopping(running?.closeMsMax)
  // A peer that keeps its connection open must not keep the daemon running.
  setTimeout(() => process.exit(exitCode), running?.closeMsMax ?? CLOSE_MS_MAX).unref()
  try {
    await running?.close()
    process.exit(exitCode)
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), 'error')
    process.exit(EXIT_OS_ERROR)
  }
}
