// The switches of the command line: memcached's letters and long names, in the order of its help.
// The help is printed from this table, and arguments are read by it.

import { ACCESS } from './access.ts'
import { readExtended } from './extended.ts'
import { KEEPING } from './keeping.ts'
import { readAdmin } from './listen.ts'
import { DEFAULTS, LOG_FORMATS } from './options.ts'
import type { Switch } from './switch.ts'
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
  readThreads,
  readUnixMask,
  wholeOf,
} from './values.ts'

export type { Action, Switch } from './switch.ts'

const NETWORK: Switch[] = [
  {
    letter: 'p',
    name: 'port',
    value: '<num>',
    help: [`TCP port to listen on (default: ${DEFAULTS.port}; 0: none, -1: a free one)`],
    read: readPort,
  },
  {
    letter: 'U',
    name: 'udp-port',
    value: '<num>',
    help: ['UDP port to listen on (default: 0, none; -1: a free one)'],
    read: text => ({ udpPort: wholeOf(text, '-U') }),
  },
  {
    letter: 's',
    name: 'unix-socket',
    value: '<file>',
    help: ['UNIX socket to listen on, in place of TCP and UDP'],
    read: text => ({ unixSocket: text }),
  },
  {
    letter: 'a',
    name: 'unix-mask',
    value: '<mask>',
    help: ['permissions of the UNIX socket, octal (default: 700)'],
    read: readUnixMask,
  },
  {
    letter: 'A',
    name: 'enable-shutdown',
    help: ['allow the "shutdown" command'],
    read: () => ({ shutdownAllowed: true }),
  },
  {
    letter: 'l',
    name: 'listen',
    value: '<addr>',
    help: [
      'where to listen (default: every interface)',
      'several: separated by commas, or the option repeated',
      'each is [notls:|btls:|mtls:][proto[<name>]:][tag[<name>]:]<host>[:<port>]',
      'notls, btls, mtls: without TLS, without or with certificates of peers',
      'proto_<name>_ and tag_<name>_ say the same; <host> may be [<ipv6>] or *',
    ],
    adds: true,
    read: text => ({ listenText: text }),
  },
]

const PROCESS: Switch[] = [
  {
    letter: 'd',
    name: 'daemon',
    help: ['run in the background'],
    read: () => ({ daemonize: true }),
  },
  {
    letter: 'r',
    name: 'enable-coredumps',
    help: ['without effect: the runtime cannot raise the core file limit'],
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
    help: ['memory for items, megabytes (default: 64; auto: what the container or machine has)'],
    read: readMemoryLimit,
  },
  {
    letter: 'M',
    name: 'disable-evictions',
    help: ['when memory is full refuse new items instead of evicting old ones'],
    read: () => ({ evictions: false }),
  },
  {
    letter: 'c',
    name: 'conn-limit',
    value: '<num>',
    help: [`connections at the same time, at most (default: ${DEFAULTS.connectionsMax})`],
    read: text => ({ connectionsMax: wholeOf(text, '-c') }),
  },
  {
    letter: 'k',
    name: 'lock-memory',
    help: ['without effect: the runtime cannot lock memory'],
    idle: 'warning: -k has no effect, memory cannot be locked from Node.js',
    read: () => ({ lockMemory: true }),
  },
  {
    letter: 'v',
    name: 'verbose',
    help: ['log errors and warnings; -vv: commands and replies, -vvv: more'],
    read: text => ({ verbosity: Number(text) }),
  },
  { letter: 'h', name: 'help', help: ['print this help and exit'], action: 'help' },
  { letter: 'i', name: 'license', help: ['print the license and exit'], action: 'license' },
  { letter: 'V', name: 'version', help: ['print the version and exit'], action: 'version' },
  {
    letter: 'P',
    name: 'pidfile',
    value: '<file>',
    help: ['save the process id in <file> once listening, remove it at the end'],
    read: text => ({ pidFile: text }),
  },
]

const MEMORY: Switch[] = [
  {
    letter: 'f',
    name: 'slab-growth-factor',
    value: '<num>',
    help: [`factor between the chunk sizes of slab classes (default: ${DEFAULTS.growthFactor})`],
    read: readFactor,
  },
  {
    letter: 'n',
    name: 'slab-min-size',
    value: '<bytes>',
    help: [
      `room for key, value and flags in the smallest chunk (default: ${DEFAULTS.chunkMinBytes})`,
    ],
    read: text => ({ chunkMinBytes: wholeOf(text, '-n') }),
  },
  {
    letter: 'L',
    name: 'enable-largepages',
    help: ['large memory pages for items, where the system has them'],
    read: () => ({ largePages: true }),
  },
  {
    letter: 'D',
    name: 'delimiter',
    value: '<char>',
    help: ['what ends the prefix of a key (default: ":"); given, "stats detail" is on'],
    read: readPrefix,
  },
  {
    letter: 't',
    name: 'threads',
    value: '<num>',
    help: [
      `threads that serve connections (default: ${DEFAULTS.threads}; auto: one for each processor`,
      'that the container or machine has)',
    ],
    read: readThreads,
  },
  {
    letter: 'R',
    name: 'max-reqs-per-event',
    value: '<num>',
    help: [
      'requests of one connection before others have their turn',
      '(default: those of one read, at most 64 KiB)',
    ],
    read: text => ({ requestsPerEventMax: wholeOf(text, '-R') }),
  },
]

const PROTOCOL: Switch[] = [
  {
    letter: 'C',
    name: 'disable-cas',
    help: ['items have no CAS numbers'],
    read: () => ({ casEnabled: false }),
  },
  {
    letter: 'b',
    name: 'listen-backlog',
    value: '<num>',
    help: [`connections that may wait to be accepted (default: ${DEFAULTS.backlog})`],
    read: text => ({ backlog: wholeOf(text, '-b') }),
  },
  {
    letter: 'B',
    name: 'protocol',
    value: '<name>',
    help: ['ascii, binary, or auto: as the first byte says (default: auto)'],
    read: readProtocol,
  },
  {
    letter: 'I',
    name: 'max-item-size',
    value: '<num>',
    help: ['longest item, bytes, or with k, m or g', '(default: 1m, min: 1k, max: 1024m)'],
    read: readItemSize,
  },
  {
    letter: 'S',
    name: 'enable-sasl',
    help: ['binary connections have to log in with SASL'],
    read: () => ({ sasl: true }),
  },
  {
    letter: 'F',
    name: 'disable-flush-all',
    help: ['refuse the flush_all command'],
    read: () => ({ flushAllowed: false }),
  },
  {
    letter: 'X',
    name: 'disable-dumping',
    help: ['refuse commands that list keys'],
    read: () => ({ dumpAllowed: false }),
  },
  {
    letter: 'W',
    name: 'disable-watch',
    help: ['refuse the watch command'],
    read: () => ({ watchAllowed: false }),
  },
  {
    letter: 'Y',
    name: 'auth-file',
    value: '<file>',
    help: ['text connections have to log in, as a line user:password of <file>'],
    read: text => ({ authFile: text }),
  },
  {
    letter: 'e',
    name: 'memory-file',
    value: '<file>',
    help: [
      'keep the content in <file> between two processes: written at a clean end (SIGTERM,',
      'SIGINT, SIGUSR1), loaded at the next start',
    ],
    read: readMemoryFile,
  },
  {
    letter: 'Z',
    name: 'enable-ssl',
    help: ['enable TLS; -o ssl_chain_cert and ssl_key say with which certificate'],
    read: () => ({ tls: true }),
  },
  {
    letter: 'o',
    name: 'extended',
    value: '<list>',
    help: ['extended options, separated by commas:'],
    adds: true,
    read: readExtended,
  },
  {
    letter: 'N',
    name: 'napi_ids',
    value: '<num>',
    help: ['without effect: a connection goes to the thread that has the fewest'],
    read: readNapiIds,
  },
]

const OWN: Switch[] = [
  {
    letter: '',
    name: 'etcd',
    value: '<url>',
    help: [
      'register with this etcd while running: http://[user:password@]host:port',
      'several endpoints of one cluster: separated by commas, or the option repeated',
    ],
    adds: true,
    read: readEndpoints,
  },
  {
    letter: '',
    name: 'config',
    value: '<file>',
    help: [
      'options from <file>, one a line, as in /etc/memcached.conf;',
      'options of the command line win',
    ],
  },
  {
    letter: '',
    name: 'logfile',
    value: '<file>',
    help: ['append the log to <file> instead of stderr; SIGHUP opens it again'],
    read: readLogFile,
  },
  {
    letter: '',
    name: 'log-format',
    value: '<name>',
    help: ['text, or json: an object a line, with level and time (default: text)'],
    read: readLogFormat,
  },
  {
    letter: '',
    name: 'admin',
    value: '<addr>',
    help: [
      'HTTP for operators: a live page, /metrics, probes; [notls:][<host>:]<port>',
      '(default: none; a port alone: on 127.0.0.1; with -Z over TLS, but for notls:)',
    ],
    read: text => ({ admin: readAdmin(text) }),
  },
  {
    letter: '',
    name: 'admin-auth',
    value: '<file>',
    help: ['who may see it: lines user:password, and bearer:<token>'],
    read: text => ({ adminAuthFile: text }),
  },
  {
    letter: '',
    name: 'admin-write',
    help: ['let them delete items, flush and change settings there too'],
    read: () => ({ adminWrite: true }),
  },
  {
    letter: '',
    name: 'metrics-slabs',
    help: ['metrics of each slab class too'],
    read: () => ({ metricsSlabs: true }),
  },
]

function readEndpoints(text: string): Given {
  const etcd = text.split(',').filter(url => url.trim() !== '')
  if (etcd.length === 0) throw new Refused('--etcd names no endpoint')
  return { etcd }
}

function readMemoryFile(text: string): Given {
  if (text === '') throw new Refused('-e names no file')
  return { memoryFile: text }
}

function readLogFile(text: string): Given {
  if (text === '') throw new Refused('--logfile names no file')
  return { logFile: text }
}

function readLogFormat(text: string): Given {
  const logFormat = LOG_FORMATS.find(name => name === text)
  if (logFormat === undefined) throw new Refused(`--log-format takes ${LOG_FORMATS.join(' or ')}`)
  return { logFormat }
}

/** How a normalised --config begins. */
export const CONFIG = '--config='

export const SWITCHES: readonly Switch[] = [
  ...NETWORK,
  ...PROCESS,
  ...MEMORY,
  ...PROTOCOL,
  ...OWN,
  ...ACCESS,
  ...KEEPING,
]
