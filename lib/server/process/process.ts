// What makes the daemon a good process: open files, the user it runs as, the pid file, signals, and
// the way into the background. The daemon itself listens; a failure to start is one line on stderr
// and an exit code, and with -d the process that was started first prints both.

import { spawn } from 'node:child_process'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { isatty } from 'node:tty'
import { EXIT_OS_ERROR, type Options, type Refusal } from '../../options/options.ts'
import { keepLines, print, say, takeLines } from '../system/log.ts'
import { fitOpenFiles } from '../system/open-files.ts'
import { packageVersion } from '../system/package.ts'
import { reasonFor, reasonOf } from '../system/reason.ts'
import { assume, identityFor } from './user.ts'

export interface Running {
  /** Where it listens, as `stats conns` prints it: `tcp:127.0.0.1:11211`. */
  places: readonly string[]
  /** Settled when it cannot serve any more: why, in one line. */
  failed: Promise<string>
  /** Reads again what may change while it runs. */
  reload(): void
  close(): Promise<void>
}

export type Start = (options: Options) => Promise<Running>

/** What the process in the background reports to the one that started it. */
type Report = Refusal | { listening: string; lines: string[] }

/** What errors of starting may say beside Node's own. */
interface Refused extends Partial<Refusal> {
  /** Where it failed to listen, if not on TCP. */
  place?: string
}

/** What the end has to clear up. */
interface Held {
  running: Running | undefined
  /** It was asked to read its files again before it ran. */
  reloads: boolean
  pidFile: string | undefined
  removeSockets: (() => void) | undefined
}

/** Set for the process in the background. */
const DETACHED_VARIABLE = 'MEMSLAB_DETACHED'
const CLOSE_MS_MAX = 10_000
/** One Ctrl-C under npm is two signals. A later one means that somebody does not want to wait. */
const IMPATIENT_MS_MIN = 300

/** Whether this process is the one in the background. */
export function isDetached(): boolean {
  return process.env[DETACHED_VARIABLE] !== undefined
}

/** Starts the daemon in this process and returns when it listens, or failed to. */
export async function runHere(asked: Options, start: Start): Promise<void> {
  const isTalking = asked.verbosity > 0
  if (isDetached() && !isTalking) keepLines()
  try {
    const [options, warning] = fitOpenFiles(asked)
    if (warning !== undefined) say(warning)
    const identity = identityFor(options.user)
    const held: Held = {
      running: undefined,
      reloads: false,
      pidFile: undefined,
      removeSockets: undefined,
    }
    closeOnSignals(held)
    if (options.unixSocket !== undefined) {
      held.removeSockets = (await import('../listen/unix-listener.ts')).removeOwnSockets
    }
    held.running = await start(options)
    if (held.reloads) held.running.reload()
    if (identity !== undefined) assume(identity, options.unixSocket)
    held.pidFile = options.pidFile === undefined ? undefined : resolvePath(options.pidFile)
    if (held.pidFile !== undefined) writePidFile(held.pidFile)
    await tellStarted(held.running, isTalking)
    endOnFailure(held)
  } catch (error) {
    await tellRefused(refusalFrom(error, asked))
  }
}

/** Starts the same command line in the background and waits until it listens, or failed to. */
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

/** Without /proc the runtime knows its own program only by the name it was called. */
function spawnReason({ code, message }: NodeJS.ErrnoException): string {
  if (code !== 'ENOENT') return message
  return `"${process.execPath}" is not the path of this program (is /proc mounted?)`
}

/** One line where a person sees it, or asked for it with -v; memcached prints none. */
async function tellStarted({ places }: Running, isTalking: boolean): Promise<void> {
  const listening = `memslab ${packageVersion()} listens on ${places.join(', ')}`
  if (isTalking || isatty(2)) say(listening)
  if (!isDetached()) return
  process.chdir('/')
  await report({ listening, lines: takeLines() })
}

async function tellRefused(refusal: Refusal): Promise<never> {
  if (isDetached() && process.send !== undefined) await report(refusal)
  else say(refusal.line)
  process.exit(refusal.exitCode)
}

function report(outcome: Report): Promise<void> {
  return new Promise(settle => {
    const send = process.send?.bind(process)
    if (send === undefined) return settle()
    // The parent may be gone already, which is no reason to stop.
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

// Written beside and renamed: a reader finds a whole number or no file. As in memcached, a file
// that cannot be written is reported and the daemon goes on.
function writePidFile(pidFile: string): void {
  const beside = `${pidFile}.tmp`
  try {
    writeFileSync(beside, `${process.pid}\n`)
    renameSync(beside, pidFile)
  } catch (error) {
    say(`Could not open the pid file ${beside} for writing: ${reasonOf(error)}`)
  }
}

function removePidFile(pidFile: string): void {
  try {
    if (readFileSync(pidFile, 'utf8') === `${process.pid}\n`) rmSync(pidFile)
  } catch {
    // Somebody removed it, or it lies where this user may not: nothing to be done at the end.
  }
}

// ---- signals

// Listens from before the daemon does: a process that finds the port open may send a signal at
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
  // As in memcached, files of passwords and certificates are read again. The same signal comes when
  // the terminal of the daemon is closed; then, unlike memcached, it ends.
  process.on('SIGHUP', () => {
    if (!terminals.every(isatty)) close(() => void print('Signal handled: Hangup.\n'))
    else if (held.running === undefined) held.reloads = true
    else held.running.reload()
  })
  process.on('exit', () => {
    if (held.pidFile !== undefined) removePidFile(held.pidFile)
    // They are gone already if the daemon was closed, not if it was still starting.
    held.removeSockets?.()
  })
}

function endOnFailure(held: Held): void {
  void held.running?.failed.then(line => {
    say(line)
    return closeAndExit(held.running, EXIT_OS_ERROR)
  })
}

async function closeAndExit(running: Running | undefined, exitCode: number): Promise<void> {
  // A peer that keeps its connection open must not keep the daemon.
  setTimeout(() => process.exit(exitCode), CLOSE_MS_MAX).unref()
  try {
    await running?.close()
    process.exit(exitCode)
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    process.exit(EXIT_OS_ERROR)
  }
}
