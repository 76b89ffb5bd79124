/**
 * Edge cases of lines and tokens: line ends, spaces, NUL, case, counts, lengths, unknown commands.
 */
import { type Case, GET, type Group, ONE, times, VERSION } from './case.ts'

const endings: Case[] = [
  ['a lone newline ends a line', 'get k\n'],
  ['a lone newline, several', 'version\nget k\nversion\n'],
  ['two carriage returns', `${ONE}get k\r\r\n`],
  ['a carriage return in the middle of a key', `${ONE}get k\rx\r\n`],
  ['a carriage return in place of a space', `${ONE}get\rk\r\n`],
  ['a carriage return before a space', `${ONE}get k\r k\r\n`],
  ['a carriage return after the newline', `get k\n\r${VERSION}`],
  ['carriage returns alone', `\r\r\r\n${VERSION}`],
  ['an empty line', `\r\n${VERSION}`],
  ['an empty line without carriage return', `\n${VERSION}`],
  ['empty lines between commands', `${GET}\r\n\r\n${VERSION}\n\n${GET}`],
  ['a carriage return as the last byte', 'version\r', 'raw'],
  ['no line end', 'version', 'raw'],
  ['a set line without its end', 'set k 0 0 1', 'raw'],
  ['half a value', 'set k 0 0 10\r\nabc', 'raw'],
  ['a value without its terminator', 'set k 0 0 3\r\nabc', 'raw'],
  ['a value with half its terminator', 'set k 0 0 3\r\nabc\r', 'raw'],
  ['a command in three writes', ['get ', 'k\r', '\n'], 'raw'],
]

const spaces: Case[] = [
  ['one space', ` \r\n${VERSION}`],
  ['many spaces', `${' '.repeat(500)}\r\n${VERSION}`],
  ['a leading space', `${ONE} get k\r\n`],
  ['a trailing space', `${ONE}get k \r\n`],
  ['double spaces', `${ONE}get  k  k\r\n`],
  ['double spaces in a set', 'set  k  0  0  1 \r\na\r\nget k\r\n'],
  ['a leading space before set', ' set k 0 0 1\r\na\r\nget k\r\n'],
  ['noreply with a trailing space', `set k 0 0 1 noreply \r\na\r\n${GET}`],
  ['a hundred leading spaces', `${ONE}${' '.repeat(100)}get k\r\n`],
  ['a thousand leading spaces', `${ONE}${' '.repeat(1000)}get k\r\n`],
  ['a thousand spaces behind version', `version${' '.repeat(1000)}\r\n`],
  ['a thousand spaces inside set', `set k${' '.repeat(1000)}0 0 1\r\na\r\n${GET}`],
  ['a tab in place of a space', `${ONE}get\tk\r\n`],
  ['a tab before a command', `\tget k\r\n${VERSION}`],
  ['a tab behind a key', `${ONE}get k\t\r\n`],
  ['a tab inside a key', 'set a\tb 0 0 1\r\nx\r\nget a\tb\r\ndelete a\tb\r\n'],
  ['a form feed between tokens', `${ONE}get\fk\r\n`],
]

const nulBytes: Case[] = [
  ['NUL ends a get line early', `${ONE}get k\0x y\r\n${VERSION}`],
  ['NUL between keys', `${ONE}get a\0 k\r\n`],
  ['NUL before the command', `\0get k\r\n${VERSION}`],
  ['NUL inside the key of a set', `set a\0b 0 0 1\r\nx\r\n${GET}`],
  ['NUL behind the length of a set', `set k 0 0 1\0\r\nx\r\n${GET}`],
  ['NUL behind the command', `version\0foo\r\n${VERSION}`],
  ['NUL behind quit', 'quit\0x\r\n'],
  ['NUL behind a delta', `${ONE}incr k 1\0\r\n`],
  ['NUL in place of noreply', `${ONE}incr k 1 \0noreply\r\n`],
  ['NUL in a value', `set k 0 0 5\r\na\0b\0c\r\n${GET}`],
  ['a line of NUL', `\0\r\n${VERSION}`],
]

const unknown: Case[] = [
  ['an unknown command', `foo\r\n${VERSION}`],
  ['an unknown command with arguments', `foo bar baz\r\n${VERSION}`],
  ['an unknown command with noreply', `foo noreply\r\n${VERSION}`],
  ['one letter', `g\r\n${VERSION}`],
  ['part of a command', `ge k\r\n${VERSION}`],
  ['too long a command', `gett k\r\n${VERSION}`],
  ['too long a command at the end', `getss k\r\n${VERSION}`],
  ['high bytes', `\xfe\xff\r\n${VERSION}`],
  ['control bytes', `\x01\x02\x03\r\n${VERSION}`],
  ['a command after a value look-alike', `VALUE k 0 1\r\nEND\r\n${VERSION}`],
  ['a reply as a command', `STORED\r\nERROR\r\n${VERSION}`],
  ...['GET k', 'Get k', 'SET k 0 0 1', 'INCR k 1', 'DELETE k', 'TOUCH k 1', 'FLUSH_ALL', 'STATS']
    .concat(['VERSION', 'QUIT', 'VERBOSITY 0', 'GATS 0 k', 'Cas k 0 0 1 1', 'ADD k 0 0 1'])
    .map((line): Case => [`upper case: ${line}`, `${ONE}${line}\r\n${GET}`]),
]

const http: Case[] = [
  ['an HTTP GET', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 'raw'],
  ['an HTTP GET line alone', 'GET / HTTP/1.1\r\n', 'raw'],
  ['an HTTP POST', 'POST /x HTTP/1.1\r\nContent-Length: 15\r\n\r\nset k 0 0 1\r\na\r\n', 'raw'],
  ['an HTTP HEAD', 'HEAD / HTTP/1.0\r\n\r\n', 'raw'],
  ['an HTTP line with a trailing space', 'GET / HTTP/1.1 \r\n', 'raw'],
  ['an HTTP version alone', 'HTTP/1.1\r\n', 'raw'],
  ['HTTP/ behind an unknown command', 'foo bar HTTP/\r\n', 'raw'],
  ['HTTP/ as the 23rd token', `foo${times(21, 'a')} HTTP/1.1\r\n`, 'raw'],
  ['HTTP/ as the 24th token', `foo${times(22, 'a')} HTTP/1.1\r\n${VERSION}`],
  ['HTTP/ as the 25th token', `foo${times(23, 'a')} HTTP/1.1\r\n${VERSION}`],
  ['HTTP/ not last', `GET / HTTP/1.1 x\r\n${VERSION}`],
  ['HTTP without a slash', `GET / HTTP\r\n${VERSION}`],
  ['http/ in lower case', `GET / http/1.1\r\n${VERSION}`],
  ['a lower case get of an HTTP line', `get http://x HTTP/1.1\r\n${VERSION}`],
  ['HTTP/ as a key', `set HTTP/1.1 0 0 1\r\na\r\nget HTTP/1.1\r\ndelete HTTP/1.1\r\n`],
  ['HTTP/ behind a known command', `set k HTTP/1.1\r\n${VERSION}`],
]

const counts: Case[] = ['version', 'verbosity', 'delete', 'incr', 'decr', 'touch', 'flush_all']
  .concat(['stats', 'foo', 'set', 'add', 'replace', 'append', 'prepend', 'cas'])
  .flatMap(command =>
    [8, 21, 22, 23, 24, 25, 40].map(
      (count): Case => [
        `${command} with ${count} arguments`,
        `${command}${times(count, 'a')}\r\n${VERSION}`,
      ],
    ),
  )

const long: Case[] = [
  ['2000 bytes without a newline wait', `version${' '.repeat(1993)}`, 'raw'],
  ['2048 bytes without a newline wait', `version${' '.repeat(2041)}`, 'raw'],
  ['2049 bytes without a newline close', `version${' '.repeat(2042)}`, 'raw'],
  ['8192 bytes without a newline close', 'x'.repeat(8192), 'raw'],
  ['2049 bytes of a gat close', `gat 0 ${'k '.repeat(1022)}`, 'raw'],
  ['2049 bytes of a set close', `set ${'k'.repeat(2045)}`, 'raw'],
  ['2049 spaces close', ' '.repeat(2049), 'raw'],
  ['2049 NUL bytes close', '\0'.repeat(2049), 'raw'],
  ['a get of 3000 bytes waits', `get ${'k '.repeat(1498)}`, 'raw'],
  ['a gets of 8192 bytes waits', `gets ${'k '.repeat(4093)}`, 'raw'],
  ['a get of one long key waits', `get ${'k'.repeat(8192)}`, 'raw'],
  ['a get after 100 spaces waits', `${' '.repeat(100)}get ${'k '.repeat(2000)}`, 'raw'],
  ['a get after 101 spaces closes', `${' '.repeat(101)}get ${'k '.repeat(2000)}`, 'raw'],
  ['a get and a tab close', `get\t${'k'.repeat(4000)}`, 'raw'],
  ['a long get is answered when its end comes', [`get ${'a '.repeat(4000)}`, 'k\r\n'], 'raw'],
  ['a long line closes while it is sent', ['x'.repeat(2000), 'x'.repeat(100)], 'raw'],
  ['a long unknown line, whole', `foo ${'k'.repeat(4000)}\r\n${VERSION}`],
  ['a long version line, whole', `version${' '.repeat(8000)}\r\n${VERSION}`],
  ['a long set line, whole', `set k 0 0 1${' '.repeat(8000)}\r\na\r\n${GET}`],
  ['a long gat line, whole', `${ONE}gat 0${times(4000, 'k')}\r\n${VERSION}`],
  ['a long key, whole', [`get ${'k'.repeat(8000)}\r\n`, VERSION]],
  ['a long key of a set, whole', `set ${'k'.repeat(8000)} 0 0 1\r\na\r\n${VERSION}`],
]

export const lines: Group[] = [
  { name: 'line ends', cases: endings },
  { name: 'spaces', cases: spaces },
  { name: 'NUL bytes', cases: nulBytes },
  { name: 'unknown commands', cases: unknown },
  { name: 'HTTP', cases: http },
  { name: 'token counts', cases: counts },
  { name: 'long lines', cases: long },
]
