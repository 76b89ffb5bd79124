/** Edge cases of set, add, replace, append, prepend and cas. */
import { type Case, GET, type Group, KEY_250, KEY_251, ONE, store, times, VERSION } from './case.ts'

const COMMANDS = ['set', 'add', 'replace', 'append', 'prepend']

/** The same for each storage command, on a missing and on an existing key. */
function forEach(command: string): Case[] {
  const body = `a\r\n${GET}`
  return [
    [`${command} on a missing key`, store(command, 'new', 'k', 7) + GET],
    [`${command} on an existing key`, ONE + store(command, 'new', 'k', 7) + GET],
    [`${command} silent on a missing key`, `${command} k 7 0 1 noreply\r\n${body}`],
    [`${command} silent on an existing key`, `${ONE}${command} k 7 0 1 noreply\r\n${body}`],
    [`${command} of nothing on a missing key`, store(command, '') + GET],
    [`${command} of nothing on an existing key`, ONE + store(command, '') + GET],
    [`${command} changes the CAS number`, [`${ONE}gets k\r\n`, `${store(command, 'x')}gets k\r\n`]],
    [`${command} expired on a missing key`, `${command} k 0 -1 1\r\n${body}`],
    [`${command} expired on an existing key`, `${ONE}${command} k 0 -1 1\r\n${body}`],
    [`${command} without arguments`, `${command}\r\n${VERSION}`],
    [`${command} with a key`, `${command} k\r\n${VERSION}`],
    [`${command} with flags`, `${command} k 0\r\n${VERSION}`],
    [`${command} without a length`, `${command} k 0 0\r\n${body}`],
    [`${command} with something for noreply`, `${ONE}${command} k 0 0 1 x\r\n${body}`],
    [`${command} with NOREPLY`, `${ONE}${command} k 0 0 1 NOREPLY\r\n${body}`],
    [`${command} with a seventh token`, `${ONE}${command} k 0 0 1 noreply x\r\n${body}`],
    [`${command} of a value too long by one`, `${ONE}${command} k 0 0 1\r\nab\r\n${GET}`],
    [`${command} too long by one, silent`, `${ONE}${command} k 0 0 1 noreply\r\nab\r\n${GET}`],
    [`${command} of a value too long by many`, `${ONE}${command} k 0 0 1\r\nabcdefgh\r\n${GET}`],
    [`${command} of a value too short by one`, `${ONE}${command} k 0 0 2\r\na\r\n${GET}${GET}`],
    [`${command} to a key of 250`, `${store(command, 'x', KEY_250)}get ${KEY_250}\r\n`],
    [`${command} to a key of 251`, `${command} ${KEY_251} 0 0 1\r\n${body}`],
    [`${command} to a key of 251, silent`, `${command} ${KEY_251} 0 0 1 noreply\r\n${body}`],
  ]
}

const values: Case[] = [
  ['a value of line ends', store('set', '\r\n\r\n\n\r') + GET],
  ['a value of commands', `${store('set', 'get k\r\nquit\r\nflush_all\r\n')}${GET}`],
  ['a value of a whole set', store('set', store('set', 'x')) + GET],
  ['a value of all bytes', store('set', String.fromCharCode(...Array(256).keys())) + GET],
  ['a value of 0xff bytes', store('set', '\xff'.repeat(100)) + GET],
  ['length 0 without a terminator', `${ONE}set k 0 0 0\r\n${GET}${GET}`],
  ['length 0 and one byte', `set k 0 0 0\r\na\r\n${GET}`],
  ['a lone newline behind the line', `set k 0 0 1\na\r\n${GET}`],
  ['a lone newline behind the value', `set k 0 0 1\na\n${GET}${GET}`],
  ['a lone newline behind the value and one more', `set k 0 0 1\r\na\n\n${GET}`],
  ['a value that ends with \\r and another byte', `set k 0 0 1\r\na\rX${GET}${VERSION}`],
  ['a value that ends with \\n\\r', `set k 0 0 1\r\na\n\r${GET}${VERSION}`],
  ['two bad bytes for a terminator', `set k 0 0 1\r\naXY${GET}${VERSION}`],
  ['a good value behind a bad one', `set k 0 0 1\r\nab\r\n${ONE}${GET}`],
  [
    'a bad value behind a silent good one',
    `set k 0 0 1 noreply\r\na\r\nset k 0 0 1\r\nbc\r\n${GET}`,
  ],
  ['a value of its own request', `set k 0 0 21\r\nset k 0 0 21\r\nset k 0\r\n${GET}`],
  ['noreply as the length', `set k 0 0 noreply\r\n${VERSION}`],
  ['noreply as the flags', `set k noreply 0 1\r\na\r\n${VERSION}`],
  ['noreply as the key', `set noreply 0 0 1\r\na\r\nget noreply\r\ndelete noreply\r\n`],
  ['a bad number and noreply', `set k x 0 1 noreply\r\na\r\n${GET}`],
  ['a negative length and noreply', `set k 0 0 -1 noreply\r\n${VERSION}`],
  ['noreply does not stick', `set k 0 0 -1 noreply\r\nset k 0 0 -1\r\n${VERSION}`],
  ['noreply does not stick to ERROR', `set k 0 0 1 noreply x\r\nfoo\r\n${VERSION}`],
  ['two keys keep apart', `${store('set', 'x', 'a')}${store('set', 'yy', 'b')}get a b\r\n`],
]

const joined: Case[] = [
  ['append keeps the flags', store('set', 'a', 'k', 5) + store('append', 'b', 'k', 9) + GET],
  ['prepend keeps the flags', store('set', 'a', 'k', 5) + store('prepend', 'b', 'k', 9) + GET],
  ['append and prepend', ONE + store('append', '>') + store('prepend', '<') + GET],
  ['append of line ends', ONE + store('append', '\r\n') + store('prepend', '\r\n') + GET],
  ['append to an empty value', store('set', '') + store('append', 'x') + GET],
  ['prepend to an empty value', store('set', '') + store('prepend', 'x') + GET],
  ['a hundred appends', store('set', '') + store('append', 'abc').repeat(100) + GET],
  ['append past one chunk', store('set', 'x'.repeat(400)) + store('append', 'y'.repeat(900)) + GET],
  [
    'prepend past one chunk',
    store('set', 'x'.repeat(90)) + store('prepend', 'y'.repeat(2000)) + GET,
  ],
  ['append to itself, silent', `${ONE}append k 0 0 1 noreply\r\n2\r\n`.concat(GET)],
]

const swaps: Case[] = [
  ['cas without arguments', `cas\r\n${VERSION}`],
  ['cas without a number', `${ONE}cas k 0 0 1\r\na\r\n${GET}`],
  ['cas with noreply for a number', `${ONE}cas k 0 0 1 noreply\r\na\r\n${GET}`],
  ['cas with eight tokens', `${ONE}cas k 0 0 1 1 noreply x\r\na\r\n${GET}`],
  ['cas with something for noreply', `${ONE}cas k 0 0 1 0 x\r\na\r\n${GET}`],
  ['cas on a missing key', `cas k 0 0 1 1\r\na\r\n${GET}`],
  ['cas on a missing key, silent', `cas k 0 0 1 1 noreply\r\na\r\n${GET}`],
  ['cas that matches', [`${ONE}gets k\r\n`, `cas k 3 0 2 <CAS k>\r\nab\r\ngets k\r\n`]],
  ['cas that matches, silent', [`${ONE}gets k\r\n`, `cas k 3 0 1 <CAS k> noreply\r\na\r\n${GET}`]],
  ['cas twice', [`${ONE}gets k\r\n`, 'cas k 0 0 1 <CAS k>\r\na\r\n'.repeat(2) + GET]],
  ['cas behind a set', [`${ONE}gets k\r\n`, `${ONE}cas k 0 0 1 <CAS k>\r\na\r\n${GET}`]],
  ['cas behind a delete', [`${ONE}gets k\r\n`, `delete k\r\ncas k 0 0 1 <CAS k>\r\na\r\n${GET}`]],
  ['cas behind a touch', [`${ONE}gets k\r\n`, `touch k 0\r\ncas k 0 0 1 <CAS k>\r\na\r\n${GET}`]],
  ['cas behind an incr', [`${ONE}gets k\r\n`, `incr k 1\r\ncas k 0 0 1 <CAS k>\r\na\r\n${GET}`]],
  ['cas behind a get', [`${ONE}gets k\r\n`, `${GET}cas k 0 0 1 <CAS k>\r\na\r\n${GET}`]],
  ['cas of another key', [`${ONE}gets k\r\n`, `cas a 0 0 1 <CAS k>\r\na\r\nget a k\r\n`]],
  ['cas that expires', [`${ONE}gets k\r\n`, `cas k 0 -1 1 <CAS k>\r\na\r\n${GET}`]],
  ['cas with 0', `${ONE}cas k 0 0 1 0\r\na\r\n${GET}`],
  ['cas of a bad value', [`${ONE}gets k\r\n`, `cas k 0 0 1 <CAS k>\r\nab\r\n${GET}`]],
  [
    'cas behind a bad cas',
    [`${ONE}gets k\r\n`, 'cas k 0 0 1 <CAS k>\r\nab\r\ncas k 0 0 1 <CAS k>\r\nc\r\nget k\r\n'],
  ],
  ['cas of a key of 251', `cas ${KEY_251} 0 0 1 1\r\na\r\n${VERSION}`],
  ['cas of a key of 251, silent', `cas ${KEY_251} 0 0 1 1 noreply\r\na\r\n${VERSION}`],
  ['cas of a negative length, silent', `${ONE}cas k 0 0 -1 0 noreply\r\n${VERSION}`],
]

const removal: Case[] = [
  ['delete without a key', `delete\r\n${VERSION}`],
  ['delete of a miss', `delete k\r\n${GET}`],
  ['delete of a hit', `${ONE}delete k\r\n${GET}`],
  ['delete twice', `${ONE}delete k\r\ndelete k\r\n`],
  ['delete, silent', `${ONE}delete k noreply\r\n${GET}`],
  ['delete of a miss, silent', `delete k noreply\r\n${VERSION}`],
  ['delete with 0', `${ONE}delete k 0\r\n${GET}`],
  ['delete with 0, silent', `${ONE}delete k 0 noreply\r\n${GET}`],
  // Newer releases answer differently; memccapable expects the answer of 1.6.18.
  ['delete with 10', `${ONE}delete k 10\r\n${GET}`],
  ['delete with 10, silent', `${ONE}delete k 10 noreply\r\n${GET}`],
  ['delete with 00', `${ONE}delete k 00\r\n${GET}`],
  ['delete with -0', `${ONE}delete k -0\r\n${GET}`],
  ['delete with a word', `${ONE}delete k x\r\n${GET}`],
  ['delete with two keys', `${ONE}delete k k\r\n${GET}`],
  ['delete with 0 and 0', `${ONE}delete k 0 0\r\n${GET}`],
  ['delete with 0 and a word', `${ONE}delete k 0 x\r\n${GET}`],
  ['delete with noreply and 0', `${ONE}delete k noreply 0\r\n${GET}`],
  ['delete with noreply twice', `${ONE}delete k noreply noreply\r\n${GET}`],
  ['delete with five tokens', `${ONE}delete k 0 noreply x\r\n${GET}`],
  ['delete of noreply', `${store('set', 'x', 'noreply')}delete noreply\r\nget noreply\r\n`],
  ['delete of a key of 250', `${store('set', 'x', KEY_250)}delete ${KEY_250}\r\n`],
  ['delete of a key of 251', `delete ${KEY_251}\r\n${VERSION}`],
  ['delete of a key of 251, silent', `delete ${KEY_251} noreply\r\n${VERSION}`],
  ['delete of a key of 251 with 10', `delete ${KEY_251} 10\r\n${VERSION}`],
  ['delete with 30 keys', `${ONE}delete${times(30, 'k')}\r\n${GET}`],
]

export const storage: Group[] = [
  ...COMMANDS.map(command => ({ name: command, cases: forEach(command) })),
  { name: 'values', cases: values },
  { name: 'append and prepend', cases: joined },
  { name: 'cas', cases: swaps },
  { name: 'delete', cases: removal },
]
