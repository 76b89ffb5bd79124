// The manual page, in roff's man macros, from the same tables as -h.

import { EXTENDED } from './help.ts'
import { SWITCHES, type Switch } from './switches.ts'

/** A command beside the daemon and what it does, in one line. */
export const COMMAND_LINES: readonly (readonly [usage: string, what: string])[] = [
  ['ring HOST:PORT[:WEIGHT]... < keys', 'print which server of a pool owns each key'],
  ['drain HOST:PORT --to HOST:PORT...', 'move the items of a server to others'],
  ['top HOST:PORT...', 'rates, hit ratio, memory and hottest keys of servers'],
  ['doctor HOST:PORT...', 'say what is wrong with servers, and what helps'],
  ['snapshot HOST:PORT --to FILE', 'write the items of a running memslab into a file'],
  ['snapshot inspect|verify|export FILE', 'look at a snapshot, or print its items'],
  ['restore FILE HOST:PORT', 'fill a running server from a snapshot'],
  ['warm HOST:PORT --from FILE|HOST:PORT...', 'fill a node with what it owns, before clients come'],
  ['upgrade PID|PIDFILE', 'have a new process go on in place of a daemon'],
  ['scale --config FILE', 'scale a pool by its load: start, drain and end nodes'],
  ['acl hash|check FILE', 'make the digest of a password for --acl, or check such a file'],
  ['completion', 'print the completion script for bash'],
]

const ENVIRONMENT: readonly (readonly [name: string, what: string])[] = [
  ['MEMCACHED_SASL_PWDB', 'the password file of -S, where -o sasl_pwdb is not given'],
  ['MEMCACHED_PORT_FILENAME', 'a file that gets the ports once it listens'],
]

/** `version`: of the program; `date`: as YYYY-MM-DD. */
export function manText(version: string, date: string): string {
  return [
    `.TH MEMSLAB 1 "${date}" "memslab ${version}" "User Commands"`,
    '.SH NAME',
    'memslab \\- a memcached\\-compatible, multithreaded cache daemon',
    '.SH SYNOPSIS',
    '.B memslab',
    '.RI [ option ]...',
    '.br',
    '.B memslab',
    '.I file',
    ...COMMAND_LINES.flatMap(([usage]) => ['.br', `.B memslab ${quoted(usage)}`]),
    '.SH DESCRIPTION',
    'Serves a cache in memory over the text, meta and binary protocols of memcached.',
    'The options are memcached\\(aqs; those with a long name alone are memslab\\(aqs own.',
    '.SH OPTIONS',
    ...SWITCHES.flatMap(optionOf),
    '.SH EXTENDED OPTIONS',
    'Values of \\fB\\-o\\fR, separated by commas.',
    ...EXTENDED.flatMap(([name, ...help]) => ['.TP', `.B ${quoted(name)}`, quoted(help.join(' '))]),
    '.SH COMMANDS',
    ...COMMAND_LINES.flatMap(([usage, what]) => ['.TP', `.B ${quoted(usage)}`, quoted(what)]),
    'Each prints its own usage with \\fB\\-h\\fR.',
    '.SH SIGNALS',
    '.TP',
    '.B SIGTERM, SIGINT, SIGUSR1',
    'End the daemon.',
    '.TP',
    '.B SIGHUP',
    'Reads password files, lists of addresses and certificates again, and opens the log file again.',
    '.SH ENVIRONMENT',
    ...ENVIRONMENT.flatMap(([name, what]) => ['.TP', `.B ${name}`, quoted(what)]),
    '.SH EXIT STATUS',
    '0 after an ordered end, 64 for wrong options, 71 where it cannot listen, 1 otherwise.',
    '.SH SEE ALSO',
    '.BR memcached (1)',
    '',
  ].join('\n')
}

function optionOf({ letter, name, value, help }: Switch): string[] {
  const short = letter === '' ? '' : `-${letter}, `
  const shown = value === undefined ? '' : `=${value}`
  return ['.TP', `.B ${quoted(`${short}--${name}${shown}`)}`, quoted(help.join(' '))]
}

/** Text that roff prints as it is; it may break long forms before a bracket. */
function quoted(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('[', '\\:[')
  return escaped.startsWith('.') ? `\\&${escaped}` : escaped
}
