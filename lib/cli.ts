// The command line: memcached's letters and long names -> Options -> a running daemon. One table
// below says what there is; the help is printed from it and yargs reads by it. Before that the
// arguments are brought into one form, `--name=value`, by the rules of getopt: clusters, attached
// values, unique beginnings of long names, the later of two options. What memcached has and memslab
// has not is refused where somebody could rely on it, and accepted where it only tunes.

import { readListen } from './server/listen-text.ts'
import { checkOptions, THREADS_ADVISED_MAX } from './server/option-checks.ts'
import { readExtended } from './server/option-extended.ts'
import {
  type Given,
  Refused,
  readFactor,
  readItemSize,
  readMemoryLimit,
  readNapiIds,
  readPort,
  readPrefix,
  readProtocol,
  readUnixMask,
  wholeOf,
} from './server/option-text.ts'
import { DEFAULTS, isRefusal, type Options, type Refusal } from './server/options.ts'
import { packageVersion, readPackageFile } from './server/package.ts'
import { runDetached, runHere } from './server/process.ts'

type Action = 'help' | 'version' | 'license'

/** A command line that was understood: something to print, or a daemon to start. */
export type Command =
  | { action: Action }
  | { action: 'serve'; options: Options; warnings: string[]; args: string[] }

interface Switch {
  letter: string
  name: string
  /** How the help shows its value; no value without it. */
  value?: string
  help: string[]
  action?: Action
  /** memcached has it, memslab not yet: what is missing. */
  missing?: string
  /** Accepted and without effect: what the user is told. */
  idle?: string
  /** Said again, it adds to what was said (with commas between). */
  adds?: boolean
  /** Without it the option is accepted and has no meaning here. */
  read?: (text: string) => Given
}

const SWITCHES: Switch[] = [
  {
    letter: 'p',
    name: 'port',
    value: '<num>',
    help: [`TCP port to listen on (default: ${DEFAULTS.port}; -1: a free one)`],
    read: readPort,
  },
  {
    letter: 'U',
    name: 'udp-port',
    value: '<num>',
    help: ['UDP port to listen on (default: 0, off; -1: a free one)'],
    read: text => ({ udpPort: wholeOf(text, '-U') }),
  },
  {
    letter: 'l',
    name: 'listen',
    value: '<addr>',
    help: [
      'interface to listen on (default: INADDR_ANY)',
      'several: separated by commas, or the option repeated',
      'with a port of its own: <host>:<port>, [<ipv6>]:<port>',
    ],
    adds: true,
    read: text => ({ listenText: text }),
  },
  { letter: 'd', name: 'daemon', help: ['run as a daemon'], read: () => ({ daemonize: true }) },
  {
    letter: 'r',
    name: 'enable-coredumps',
    help: ['accepted without effect'],
    idle: 'warning: -r has no effect, the core file limit stays as it is',
    read: () => ({ coreDumps: true }),
  },
  {
    letter: 'u',
    name: 'user',
    value: '<user>',
    help: ['run as <user> once listening (only when started as root)'],
    read: text => ({ user: text }),
  },
  {
    letter: 'm',
    name: 'memory-limit',
    value: '<num>',
    help: ['item memory in megabytes (default: 64)'],
    read: readMemoryLimit,
  },
  {
    letter: 'M',
    name: 'disable-evictions',
    help: ['return an error when memory is full instead of evicting'],
    read: () => ({ evictions: false }),
  },
  {
    letter: 'c',
    name: 'conn-limit',
    value: '<num>',
    help: [`max simultaneous connections (default: ${DEFAULTS.connectionsMax})`],
    read: text => ({ connectionsMax: wholeOf(text, '-c') }),
  },
  {
    letter: 'k',
    name: 'lock-memory',
    help: ['accepted without effect: the runtime cannot lock memory'],
    idle: 'warning: -k has no effect, memory cannot be locked from Node.js',
    read: () => ({ lockMemory: true }),
  },
  {
    letter: 'v',
    name: 'verbose',
    help: ['verbose (errors and warnings), -vv more (commands), -vvv most'],
    read: text => ({ verbosity: Number(text) }),
  },
  { letter: 'h', name: 'help', help: ['print this help and exit'], action: 'help' },
  { letter: 'i', name: 'license', help: ['print the license and exit'], action: 'license' },
  { letter: 'V', name: 'version', help: ['print version and exit'], action: 'version' },
  {
    letter: 'P',
    name: 'pidfile',
    value: '<file>',
    help: ['save PID in <file> once listening, remove it at the end'],
    read: text => ({ pidFile: text }),
  },
  {
    letter: 'f',
    name: 'slab-growth-factor',
    value: '<num>',
    help: [`chunk size growth factor (default: ${DEFAULTS.growthFactor})`],
    read: readFactor,
  },
  {
    letter: 'n',
    name: 'slab-min-size',
    value: '<bytes>',
    help: [`min space used for key+value+flags (default: ${DEFAULTS.chunkMinBytes})`],
    read: text => ({ chunkMinBytes: wholeOf(text, '-n') }),
  },
  {
    letter: 'L',
    name: 'enable-largepages',
    help: ['accepted without effect'],
    idle: 'warning: -L has no effect, large pages are up to the operating system',
    read: () => ({ largePages: true }),
  },
  {
    letter: 't',
    name: 'threads',
    value: '<num>',
    help: [`number of threads to use (default: ${DEFAULTS.threads})`],
    read: text => ({ threads: wholeOf(text, '-t') }),
  },
  {
    letter: 'R',
    name: 'max-reqs-per-event',
    value: '<num>',
    help: [`requests per event, accepted (default: ${DEFAULTS.requestsPerEventMax})`],
    read: text => ({ requestsPerEventMax: wholeOf(text, '-R') }),
  },
  {
    letter: 'C',
    name: 'disable-cas',
    help: ['disable the use of CAS'],
    read: () => ({ casEnabled: false }),
  },
  {
    letter: 'b',
    name: 'listen-backlog',
    value: '<num>',
    help: [`set the backlog queue limit (default: ${DEFAULTS.backlog})`],
    read: text => ({ backlog: wholeOf(text, '-b') }),
  },
  {
    letter: 'B',
    name: 'protocol',
    value: '<name>',
    help: ['protocol: ascii, binary or auto (default: auto-negotiate)'],
    read: readProtocol,
  },
  {
    letter: 'I',
    name: 'max-item-size',
    value: '<num>',
    help: ['adjusts max item size', '(default: 1m, min: 1k, max: 1024m)'],
    read: readItemSize,
  },
  {
    letter: 'F',
    name: 'disable-flush-all',
    help: ['disable the flush_all command'],
    read: () => ({ flushAllowed: false }),
  },
  {
    letter: 'X',
    name: 'disable-dumping',
    help: ['disable commands that list keys'],
    read: () => ({ dumpAllowed: false }),
  },
  {
    letter: 'W',
    name: 'disable-watch',
    help: ['disable watch commands'],
    read: () => ({ watchAllowed: false }),
  },
  {
    letter: 's',
    name: 'unix-socket',
    value: '<file>',
    help: ['UNIX socket to listen on (disables network support)'],
    read: text => ({ unixSocket: text }),
  },
  {
    letter: 'a',
    name: 'unix-mask',
    value: '<mask>',
    help: ['access mask for UNIX socket, in octal (default: 700)'],
    read: readUnixMask,
  },
  {
    letter: 'A',
    name: 'enable-shutdown',
    help: ['enable the shutdown command'],
    read: () => ({ shutdownAllowed: true }),
  },
  {
    letter: 'D',
    name: 'delimiter',
    value: '<char>',
    help: ['what ends key prefixes, for "stats detail", which it turns on'],
    read: readPrefix,
  },
  {
    letter: 'S',
    name: 'enable-sasl',
    help: ['turn on SASL authentication'],
    read: () => ({ sasl: true }),
  },
  {
    letter: 'Y',
    name: 'auth-file',
    value: '<file>',
    help: ['turn on authentication of text connections'],
    read: text => ({ authFile: text }),
  },
  { letter: 'Z', name: 'enable-ssl', help: ['enable TLS'], read: () => ({ tls: true }) },
  {
    letter: 'N',
    name: 'napi_ids',
    value: '<num>',
    help: ['accepted without effect'],
    read: readNapiIds,
  },
  {
    letter: 'o',
    name: 'extended',
    value: '<list>',
    help: [
      'comma separated list of extended options:',
      '- hashpower=<num>: how large the hash table starts, a power of two',
      '- track_sizes: dynamic reports for the "stats sizes" command',
      "memcached's options that tune its threads and lists are accepted",
      'without effect',
    ],
    adds: true,
    read: readExtended,
  },
  { letter: 'e', name: 'memory-file', value: '<file>', help: [], missing: 'a memory file' },
]

const HELP_COLUMN = 26
export async function main(argv: string[]): Promise<void> {
  const command = await readCommandLine(argv)
  if (isRefusal(command)) {
    console.error(command.line)
    process.exitCode = command.exitCode
  } else if (command.action === 'serve') {
    for (const warning of command.warnings) console.error(warning)
    await (command.options.daemonize ? runDetached(command.args) : serve(command.options))
  } else {
    process.stdout.write(textOf(command.action))
  }
}

/** Command line -> what to do, or why not. */
export async function readCommandLine(argv: string[]): Promise<Command | Refusal> {
  try {
    const { action, args, rest } = normalise(argv)
    if (action !== undefined) return { action }
    const { listenText, ...given } = await readArguments(args)
    const listen = readListen(listenText ?? '', given.port ?? DEFAULTS.port)
    const saslFile = given.saslFile ?? process.env.MEMCACHED_SASL_PWDB
    const options = checkOptions({ ...given, listen, listenText, saslFile })
    if (isRefusal(options)) return options
    return { action: 'serve', options, warnings: warningsOf(options, args, rest), args }
  } catch (error) {
    if (error instanceof Refused) return { line: error.message, exitCode: error.exitCode }
    throw error
  }
}

// Loaded only here, so that -h, -V and a wrong option are answered at once.
async function serve(options: Options): Promise<void> {
  const { startDaemon } = await import('./server/daemon.ts')
  await runHere(options, startDaemon)
}

function textOf(action: Action): string {
  if (action === 'license') return readPackageFile('LICENSE')
  const version = `memslab ${packageVersion()}\n`
  return action === 'version' ? version : version + SWITCHES.map(helpOf).join('')
}

function helpOf({ letter, name, value, help }: Switch): string {
  if (help.length === 0) return ''
  const head = `-${letter}, --${name}${value === undefined ? '' : `=${value}`}`
  const lines = help.map(
    (line, index) => `${(index === 0 ? head : '').padEnd(HELP_COLUMN - 1)} ${line}`,
  )
  return `${lines.join('\n')}\n`
}

function warningsOf(options: Options, args: string[], rest: string[]): string[] {
  const idle = SWITCHES.filter(({ name }) => args.includes(`--${name}`)).map(({ idle }) => idle)
  const warnings = idle.filter(line => line !== undefined)
  for (const word of rest) warnings.push(`warning: ignoring argument "${word}"`)
  if (options.threads > THREADS_ADVISED_MAX) {
    warnings.push('WARNING: Setting a high number of workerthreads is not recommended.')
  }
  if (process.getuid?.() === 0 && options.user === undefined) {
    warnings.push('warning: running as root, -u <user> would run it as somebody else')
  }
  return warnings
}

// ---- arguments in getopt's many forms -> `--name` and `--name=value`, and words that are neither

interface Normal {
  action?: Action
  args: string[]
  rest: string[]
}

function normalise(argv: string[]): Normal {
  const normal: Normal = { args: [], rest: [] }
  const waiting = [...argv]
  while (waiting.length > 0 && normal.action === undefined) {
    const word = waiting.shift() ?? ''
    if (word === '--') normal.rest.push(...waiting.splice(0))
    else if (word.startsWith('--')) takeLong(word.slice(2), waiting, normal)
    else if (word.startsWith('-') && word !== '-') takeCluster(word.slice(1), waiting, normal)
    else normal.rest.push(word)
  }
  return normal
}

function takeLong(word: string, waiting: string[], normal: Normal): void {
  const equals = word.indexOf('=')
  const name = equals < 0 ? word : word.slice(0, equals)
  const found = findLong(name)
  const attached = equals < 0 ? undefined : word.slice(equals + 1)
  if (found.value === undefined && attached !== undefined) {
    throw new Refused(`Illegal argument "--${word}": --${found.name} takes no value`)
  }
  take(found, found.value === undefined ? undefined : (attached ?? waiting.shift()), normal)
}

// As getopt_long: the whole name, or as much of its beginning as no other name shares.
function findLong(name: string): Switch {
  const found = SWITCHES.filter(known => known.name.startsWith(name))
  const exact = found.find(known => known.name === name)
  if (exact !== undefined) return exact
  const [first] = found
  if (first === undefined) throw new Refused(`Illegal argument "--${name}"`)
  if (found.length === 1) return first
  const names = found.map(known => `--${known.name}`).join(' ')
  throw new Refused(`Illegal argument "--${name}": it could be any of ${names}`)
}

function takeCluster(letters: string, waiting: string[], normal: Normal): void {
  for (let at = 0; at < letters.length && normal.action === undefined; at++) {
    const found = SWITCHES.find(known => known.letter === letters[at])
    if (found === undefined) throw new Refused(`Illegal argument "-${letters[at]}"`)
    if (found.value === undefined) {
      take(found, undefined, normal)
      continue
    }
    const attached = letters.slice(at + 1)
    take(found, attached === '' ? waiting.shift() : attached, normal)
    return
  }
}

function take(found: Switch, text: string | undefined, normal: Normal): void {
  const { letter, name, value, action, missing, adds } = found
  if (value !== undefined && text === undefined) {
    throw new Refused(`Illegal argument "-${letter}": --${name} needs a value`)
  }
  if (missing !== undefined) {
    throw new Refused(`-${letter} is not supported: memslab has not got ${missing}`)
  }
  normal.action = action
  const before = adds ? normal.args.findIndex(arg => arg.startsWith(`--${name}=`)) : -1
  if (before >= 0) normal.args[before] += `,${text}`
  else normal.args.push(text === undefined ? `--${name}` : `--${name}=${text}`)
}

// ---- yargs: types, the last of two, and each option's reader as its coercion

async function readArguments(args: string[]): Promise<Given> {
  const { default: yargs } = await import('yargs')
  const known = SWITCHES.filter(({ missing, action }) => missing === undefined && !action)
  const parsed = yargs(args)
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
    })
    .options(Object.fromEntries(known.map(found => [found.name, yargsOption(found)])))
    .help(false)
    .version(false)
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new Refused(`Illegal argument: ${message}`)
    })
    .parseSync()
  const values = new Map(Object.entries(parsed))
  const given = known.map(({ name }) => values.get(name))
  for (const value of given) if (value instanceof Refused) throw value
  return Object.assign({}, ...given)
}

function yargsOption({ name, value, read }: Switch) {
  const type = value !== undefined ? 'string' : name === 'verbose' ? 'count' : 'boolean'
  const coerce = (given: unknown) => (read === undefined ? {} : readOrRefuse(read, String(given)))
  return { type, coerce } as const
}

// yargs would wrap what a coercion throws, so a refusal takes the place of the value.
function readOrRefuse(read: (text: string) => Given, text: string): Given | Refused {
  try {
    return read(text)
  } catch (error) {
    if (error instanceof Refused) return error
    throw error
  }
}
