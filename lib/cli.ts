// The command line: memcached's letters and long names -> Options -> a running daemon. switches.ts
// has the table of options, by which yargs's parser reads. Before that getopt.ts brings the
// arguments into one form, `--name=value`; the last of two options wins. A file of options comes
// before them, as if its options were written first. What memslab does not have is refused where
// somebody could rely on it, and accepted without effect where it only tunes.

import { resolve } from 'node:path'
import { PROTOCOL_VERSION } from './bytes/memcached.ts'
import { MIB } from './bytes/units.ts'
import { keepCompiled } from './load.ts'
import { ALLOW } from './options/access.ts'
import { checkOptions, THREADS_ADVISED_MAX, tcpPortOf } from './options/checks.ts'
import { type Line, mergeArguments, readConfigFile } from './options/config-file.ts'
import { normalise } from './options/getopt.ts'
import { readListen } from './options/listen.ts'
import { fits, type Machine, readMachine } from './options/machine.ts'
import {
  EXIT_FAILURE,
  EXIT_USAGE,
  isRefusal,
  type Options,
  type Refusal,
} from './options/options.ts'
import { type Action, CONFIG, SWITCHES, type Switch } from './options/switches.ts'
import { type Given, Refused, withFitting } from './options/values.ts'
import { LEGACY_VARIABLE } from './server/succession/legacy.ts'
import { openLog, print, say } from './server/system/log.ts'
import { packageVersion, readPackageFile } from './server/system/package.ts'

/** A valid command line: something to print, or a daemon to start. */
export type Command = { action: Action } | ServeCommand

interface ServeCommand {
  action: 'serve'
  options: Options
  warnings: string[]
  /** The command line in its normalised form. */
  args: string[]
}

/** `memslab COMMAND`: commands beside the daemon, loaded when they are called. */
const COMMANDS: Readonly<Record<string, () => Promise<(words: string[]) => Promise<number>>>> = {
  ring: async () => (await import('./commands/ring.ts')).runRing,
  drain: async () => (await import('./commands/drain.ts')).runDrain,
  doctor: async () => (await import('./commands/doctor/doctor.ts')).runDoctor,
  completion: async () => async () => {
    const { completionText } = await import('./options/completion.ts')
    return (await print(completionText())) ? 0 : EXIT_FAILURE
  },
  snapshot: async () => (await import('./commands/snapshot/snapshot.ts')).runSnapshot,
  restore: async () => (await import('./commands/restore.ts')).runRestore,
  warm: async () => (await import('./commands/warm.ts')).runWarm,
  acl: async () => (await import('./commands/acl.ts')).runAcl,
  top: async () => (await import('./commands/top/top.ts')).runTop,
  upgrade: async () => (await import('./commands/upgrade.ts')).runUpgrade,
  scale: async () => (await import('./commands/scale/scale.ts')).runScale,
}

export async function main(argv: string[]): Promise<void> {
  const [word = '', ...words] = argv
  if (Object.hasOwn(COMMANDS, word)) {
    // Without a reader there is nothing left to do.
    process.stdout.on('error', () => process.exit(EXIT_FAILURE))
    const run = await COMMANDS[word]?.()
    process.exitCode = await run?.(words)
    return
  }
  const command = await readCommandLine(argv)
  if (isRefusal(command)) {
    refuse(command)
  } else if (command.action === 'serve') {
    await serve(command)
  } else {
    if (!(await print(await textOf(command.action)))) process.exitCode = EXIT_FAILURE
  }
}

function refuse({ line, exitCode }: Refusal): void {
  say(line)
  process.exitCode = exitCode
}

/** Command line -> what to do, or a refusal. */
export async function readCommandLine(argv: string[]): Promise<Command | Refusal> {
  try {
    const { action, args: own, words } = normalise(argv)
    if (action !== undefined) return { action }
    const path = configFileOf(own, words)
    const args = path === undefined ? own : await withConfigFile(own, path)
    const machine = readMachine()
    const { listenText, ...given } = withFitting(await readArguments(args), machine)
    const listen = listenText === undefined ? [] : readListen(listenText, tcpPortOf(given))
    const saslFile = given.saslFile ?? process.env.MEMCACHED_SASL_PWDB
    const allowConfig = own.some(arg => arg.startsWith(ALLOW)) ? undefined : path && resolve(path)
    const options = checkOptions({ ...given, listen, listenText, saslFile, allowConfig })
    if (isRefusal(options)) return options
    return { action: 'serve', options, warnings: warningsOf(options, args, machine), args }
  } catch (error) {
    if (error instanceof Refused) return { line: error.message, exitCode: error.exitCode }
    throw error
  }
}

/**
 * The file of options, if there is one. As for Debian's scripts, a single word that is a path names
 * it too.
 */
function configFileOf(own: string[], words: string[]): string | undefined {
  const [word] = words
  const option = own.findLast(arg => arg.startsWith(CONFIG))?.slice(CONFIG.length)
  const isPath = words.length === 1 && word?.includes('/') && option === undefined
  if (word !== undefined && !isPath) throw new Refused(unknownWord(word), EXIT_USAGE)
  return isPath ? word : option
}

/** The arguments with those of the file before them. */
async function withConfigFile(own: string[], path: string): Promise<string[]> {
  const lines = readConfigFile(path)
  for (const line of lines) await checkLine(path, line)
  const fromFile = lines.flatMap(({ args }) => args)
  return mergeArguments(
    fromFile,
    own.filter(arg => !arg.startsWith(CONFIG)),
  )
}

/** Says in which line of the file a wrong value is. */
async function checkLine(path: string, { number, args }: Line): Promise<void> {
  try {
    await readArguments(args)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    throw new Refused(`${path}:${number}: ${error.message}`, error.exitCode)
  }
}

/** May restart the process (see large-pages.ts); else warns if there are no large pages. */
async function askForLargePages(): Promise<string[]> {
  const { useLargePages } = await import('./server/system/large-pages.ts')
  const reason = useLargePages()
  return reason === undefined ? [] : [`warning: no large pages: ${reason}`]
}

// Loaded only here, so that -h, -V and wrong options are answered at once.
async function serve({ options, warnings, args }: ServeCommand): Promise<void> {
  // Executed again it would not have the descriptors that it was given.
  const isSuccessor = process.env[LEGACY_VARIABLE] !== undefined
  if (options.largePages && !isSuccessor) warnings.push(...(await askForLargePages()))
  if ('permission' in process) {
    const { refuseForbidden } = await import('./server/system/permissions.ts')
    const refusal = refuseForbidden(options)
    if (refusal !== undefined) return refuse(refusal)
  }
  if (options.daemonize) {
    const { runDetached } = await import('./server/process/process.ts')
    for (const warning of warnings) say(warning, 'warn')
    return runDetached(args)
  }
  const successor = isSuccessor ? await findSuccessor() : undefined
  const { openPool } = await import('./server/thread-pool.ts')
  const pool = openPool(options.threads)
  await openLog(options)
  const { isDetached, runHere } = await import('./server/process/process.ts')
  // With -d the foreground process has printed them.
  if (!isDetached()) for (const warning of warnings) say(warning, 'warn')
  const { startDaemon } = await import('./server/daemon.ts')
  const { inlineMore } = await import('./server/system/compiler.ts')
  // Before it becomes a user that may not write there.
  keepCompiled()
  const { activation } = await import('./server/process/activation.ts')
  const start = (fitted: Options) => {
    // A daemon that a program starts in its own process is not what the sockets are for.
    const activated = isSuccessor ? undefined : activation()
    return startDaemon(fitted, undefined, pool, successor, activated)
  }
  await runHere(options, start, isSuccessor)
  inlineMore()
}

/** Undefined: no other daemon started this one to go on in its place. */
async function findSuccessor() {
  const { Successor } = await import('./server/succession/new-process.ts')
  return Successor.find()
}

/**
 * Some scripts read the second word as the version of the program, others look for `memcached` and
 * a number. Both find what they look for.
 */
async function textOf(action: Action): Promise<string> {
  if (action === 'license') return readPackageFile('LICENSE')
  const version = `memslab ${packageVersion()} (memcached ${PROTOCOL_VERSION})\n`
  if (action === 'version') return version
  const { helpText } = await import('./options/help.ts')
  return version + helpText()
}

function unknownWord(word: string): string {
  const names = `memslab ${Object.keys(COMMANDS).join(', ')}`
  return `Unknown word "${word}": ${names}, a file of options, or options (memslab -h)`
}

function warningsOf(options: Options, args: string[], machine: Machine): string[] {
  const idle = SWITCHES.filter(({ name }) => args.includes(`--${name}`)).map(({ idle }) => idle)
  const warnings = idle.filter(line => line !== undefined)
  if (options.threads > THREADS_ADVISED_MAX) {
    warnings.push('WARNING: Setting a high number of workerthreads is not recommended.')
  }
  if (!fits(machine, options.memoryLimitBytes, options.threads)) {
    const mib = Math.floor((machine.memoryLimitBytes ?? 0) / MIB)
    const what = `-m ${Math.floor(options.memoryLimitBytes / MIB)} and -t ${options.threads}`
    warnings.push(`warning: ${what} do not fit into this container's ${mib} MiB: see -m auto`)
  }
  const { tcpEnabled, udpPort, unixSocket } = options
  if (!tcpEnabled && udpPort === 0 && unixSocket === undefined) {
    warnings.push('warning: -p 0 without -s or -U leaves no way in')
  }
  if (process.getuid?.() === 0 && options.user === undefined) {
    warnings.push('warning: running as root, -u <user> would run it as somebody else')
  }
  return warnings
}

// ---- yargs's parser: types, and the last of two options; then each option's reader

async function readArguments(args: string[]): Promise<Given> {
  // Only its parser: loading yargs's help and completions would take a third of the daemon's start.
  const { default: parse } = await import('yargs-parser')
  const known = SWITCHES.filter(({ missing, action }) => missing === undefined && !action)
  const namesOf = (type: string) =>
    known.filter(found => typeOf(found) === type).map(({ name }) => name)
  const parsed = parse(args, {
    string: namesOf('string'),
    boolean: namesOf('boolean'),
    count: namesOf('count'),
    configuration: {
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
    },
  })
  const given = known.flatMap(({ name, read }) => {
    const value: unknown = parsed[name]
    return read === undefined || value === undefined ? [] : [read(String(value))]
  })
  return Object.assign({}, ...given)
}

function typeOf({ name, value }: Switch): string {
  if (value !== undefined) return 'string'
  return name === 'verbose' ? 'count' : 'boolean'
}
