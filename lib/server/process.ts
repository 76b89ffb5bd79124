// What makes the daemon a good process: open files, the user it runs as, the pid file, signals, and
// the way into the background. The listening itself is the daemon's; a failure to start is one line
// on stderr and an exit code, and with -d the one who started it hears of it too.

import { execFileSync, spawn } from 'node:child_process'
import { chownSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { EXIT_NO_USER, EXIT_OS_ERROR, type Options, type Refusal } from '../options/options.ts'
import { removeSocketFile } from './listener.ts'
import { reasonFor } from './reason.ts'

export interface Running {
  /** Reads again what may change while it runs. */
  reload(): void
  close(): Promise<void>
}

export type Start = (options: Options) => Promise<Running>

/** What the process in the background tells the one that started it. */
type Report = { listening: true } | Refusal

/** What errors of starting may say beside Node's own. */
interface Refused extends Partial<Refusal> {
  /** Where it failed to listen, if not on TCP. */
  place?: string
}

interface Identity {
  user: string
  uid: number
  gid: number
}

/** What the end has to give back. */
interface Held {
  running: Running | undefined
  /** It was asked to read its files again before it ran. */
  reloads: boolean
  pidFile: string | undefined
  unixSocket: string | undefined
}

/** Missing in the types of Node. */
interface Posix {
  initgroups(user: string, gid: number): void
}

/** Set for the process in the background. */
const DETACHED_VARIABLE = 'MEMSLAB_DETACHED'
/** Descriptors of the daemon itself: listeners, threads, the runtime's own. */
const OWN_FILES = 64
const CLOSE_MS_MAX = 10_000

class StartError extends Error {
  readonly exitCode: number
  constructor(line: string, exitCode = EXIT_OS_ERROR) {
    super(line)
    this.exitCode = exitCode
  }
}

/** Starts the daemon in this process and returns when it listens, or failed to. */
export async function runHere(options: Options, start: Start): Promise<void> {
  const detached = process.env[DETACHED_VARIABLE] !== undefined
  try {
    checkOpenFiles(options.connectionsMax)
    const identity = identityFor(options.user)
    const held: Held = {
      running: undefined,
      reloads: false,
      pidFile: undefined,
      unixSocket: undefined,
    }
    closeOnSignals(held)
    if (options.unixSocket !== undefined) held.unixSocket = resolvePath(options.unixSocket)
    held.running = await start(options)
    if (held.reloads) held.running.reload()
    if (identity !== undefined) assume(identity, options.unixSocket)
    held.pidFile = options.pidFile === undefined ? undefined : resolvePath(options.pidFile)
    if (held.pidFile !== undefined) writePidFile(held.pidFile)
  } catch (error) {
    const refusal = refusalFrom(error, options)
    console.error(refusal.line)
    if (detached) await report(refusal)
    process.exit(refusal.exitCode)
  }
  if (!detached) return
  process.chdir('/')
  await report({ listening: true })
}

/** Starts the same command line in the background and waits until it listens, or failed to. */
export async function runDetached(args: string[]): Promise<void> {
  const [, script = ''] = process.argv
  const childArgs = args.filter(arg => arg !== '--daemon')
  // As in memcached, a daemon that shall talk keeps its terminal.
  const output = args.includes('--verbose') ? 'inherit' : 'ignore'
  const child = spawn(process.execPath, [...process.execArgv, script, ...childArgs], {
    detached: true,
    stdio: ['ignore', output, output, 'ipc'],
    env: { ...process.env, [DETACHED_VARIABLE]: '1' },
  })
  const outcome = await new Promise<Report>(settle => {
    const died = (line: string) => settle({ line, exitCode: EXIT_OS_ERROR })
    child.once('message', message => settle(message as Report))
    child.once('error', error => died(`failed to daemonize: ${error.message}`))
    child.once('exit', code => died(`the daemon ended before it listened (exit code ${code})`))
  })
  if ('line' in outcome) {
    console.error(outcome.line)
    process.exitCode = outcome.exitCode
  }
  if (child.connected) child.disconnect()
  child.unref()
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
  if (syscall === undefined || !['bind', 'listen', 'getaddrinfo'].includes(syscall)) {
    return { line: error.message, exitCode: EXIT_OS_ERROR }
  }
  const reason = syscall === 'getaddrinfo' ? 'Name or service not known' : reasonFor(errno)
  const tcp = listenText === undefined ? `TCP port ${port}` : `one of interface(s) ${listenText}`
  return { line: `failed to listen on ${place ?? tcp}: ${reason}`, exitCode: EXIT_OS_ERROR }
}

// Node raises the soft limit to the hard one by itself, so the hard one decides.
function checkOpenFiles(connectionsMax: number): void {
  let limits = ''
  try {
    limits = readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return // not Linux: the limit shows when it is reached
  }
  const [, hard] = /^Max open files\s+\S+\s+(\d+)/m.exec(limits) ?? []
  if (hard === undefined || Number(hard) >= connectionsMax + OWN_FILES) return
  const words = 'Try starting as root or requesting smaller maxconns value.'
  throw new StartError(`failed to set rlimit for open files. ${words}`)
}

// ---- the user

function identityFor(user: string | undefined): Identity | undefined {
  if (user === undefined || process.getuid?.() !== 0) return undefined
  const [, uid, gid] = /^uid=(\d+)\S* gid=(\d+)/.exec(askForUser(user)) ?? []
  if (uid === undefined || /^\d+$/.test(user)) {
    throw new StartError(`can't find the user ${user} to switch to`, EXIT_NO_USER)
  }
  return { user, uid: Number(uid), gid: Number(gid) }
}

// `id` knows the users of every directory service that the system does; Node has no call for it.
function askForUser(user: string): string {
  try {
    return execFileSync('id', ['--', user], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch {
    return ''
  }
}

// memcached makes its UNIX socket once it is somebody else; here it is made before, and given away.
function assume({ user, uid, gid }: Identity, unixSocket: string | undefined): void {
  try {
    if (unixSocket !== undefined) chownSync(unixSocket, uid, gid)
    const { initgroups } = process as Partial<Posix>
    initgroups?.(user, gid)
    process.setgid?.(gid)
    process.setuid?.(uid)
  } catch {
    throw new StartError(`failed to assume identity of user ${user}`)
  }
}

// ---- the pid file

// Written beside and renamed: whoever reads it finds a whole number or no file. As in memcached, a
// file that cannot be written is told of and the daemon goes on.
function writePidFile(pidFile: string): void {
  const beside = `${pidFile}.tmp`
  try {
    writeFileSync(beside, `${process.pid}\n`)
    renameSync(beside, pidFile)
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException
    console.error(`Could not open the pid file ${beside} for writing: ${reasonFor(errno)}`)
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

// Listens from before the daemon does: whoever finds the port open may send a signal at once.
function closeOnSignals(held: Held): void {
  let closing = false
  const close = (tell: () => void) => {
    if (closing) process.exit(0)
    closing = true
    tell()
    void closeAndExit(held.running)
  }
  process.on('SIGTERM', () => close(() => console.log('Signal handled: Terminated.')))
  process.on('SIGINT', () => close(() => console.log('Signal handled: Interrupt.')))
  // Node would open its debugger on this one; memcached stops gracefully.
  process.on('SIGUSR1', () => close(() => console.error('Gracefully stopping')))
  // As in memcached a lost terminal is no end, and password files are read again.
  process.on('SIGHUP', () => {
    if (held.running === undefined) held.reloads = true
    else held.running.reload()
  })
  process.on('exit', () => {
    if (held.pidFile !== undefined) removePidFile(held.pidFile)
    // Gone already if the daemon was closed, not if it was still starting.
    if (held.unixSocket !== undefined) removeSocketFile(held.unixSocket)
  })
}

async function closeAndExit(running: Running | undefined): Promise<void> {
  // A peer that keeps its connection open must not keep the daemon.
  setTimeout(() => process.exit(0), CLOSE_MS_MAX).unref()
  try {
    await running?.close()
    process.exit(0)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(EXIT_OS_ERROR)
  }
}
