/** Every numeric field of every command with every odd form of a number, and incr and decr. */
import { type Case, GET, type Group, KEY_251, ONE, store, times, VERSION } from './case.ts'

const FORMS = [
  '-1',
  '+1',
  '-0',
  '01',
  '0x1',
  '1a',
  'a1',
  '1.',
  '1.0',
  '1e0',
  '-',
  '+',
  '\t1',
  '1\t',
]
  .concat(['\v1', '1\f', '--1', '+-1', '000000000000000000000000000001', '1_0', '1,0', '\xb9', ''])
  .concat(['2147483647', '2147483648', '4294967295', '4294967296', '4294967297', '4294967301'])
  .concat(['-2147483648', '-2147483649', '-4294967295', '-4294967296'])
  .concat(['9223372036854775807', '9223372036854775808', '18446744073709551615'])
  .concat(['-9223372036854775808', '-9223372036854775809', '-18446744073709551615'])
  .concat(['18446744073709551616', '-18446744073709551616', '9'.repeat(60)])

// These are read as lengths of 2 GiB: the rest of the stream would be consumed.
const LENGTHS = FORMS.concat(['2147483646', '-4294967297', '4294967298'])

const forms: Case[] = [
  ...FORMS.flatMap((form): Case[] => [
    [`flags ${JSON.stringify(form)}`, `set k ${form} 0 1\r\na\r\n${GET}`],
    [`exptime ${JSON.stringify(form)}`, `set k 0 ${form} 1\r\na\r\n${GET}`],
    [`flags of append ${JSON.stringify(form)}`, `${ONE}append k ${form} 0 1\r\na\r\n${GET}`],
    [`cas ${JSON.stringify(form)}`, `${ONE}cas k 0 0 1 ${form}\r\na\r\n${GET}`],
    [`cas of a miss ${JSON.stringify(form)}`, `cas k 0 0 1 ${form}\r\na\r\n${GET}`],
    [`incr by ${JSON.stringify(form)}`, `${ONE}incr k ${form}\r\n${GET}`],
    [`decr by ${JSON.stringify(form)}`, `${ONE}decr k ${form}\r\n${GET}`],
    [`incr of a miss by ${JSON.stringify(form)}`, `incr k ${form}\r\n${GET}`],
    [`silent incr by ${JSON.stringify(form)}`, `${ONE}incr k ${form} noreply\r\n${GET}`],
  ]),
  ...LENGTHS.flatMap((form): Case[] => [
    [`length ${JSON.stringify(form)}`, `${ONE}set k 0 0 ${form}\r\na\r\n${GET}`],
    [`length of add ${JSON.stringify(form)}`, `add k 0 0 ${form}\r\na\r\n${GET}`],
  ]),
  ['the order of errors: flags and length', `set k x 0 -1\r\n${VERSION}`],
  ['the order of errors: key and all numbers', `cas ${KEY_251} x x x x\r\n${VERSION}`],
  ['the order of errors: length and cas', `cas k 0 0 -1 x\r\n${VERSION}`],
  ['a length of 2^31-3 swallows', [ONE, `set k 0 0 2147483645\r\na\r\n${GET}`], 'raw'],
  ['a length of 2^31-4 swallows', [ONE, `add k 0 0 2147483644\r\na\r\n${GET}`], 'raw'],
]

// Without a value of white space only: memcached reads the memory after it.
const VALUES = ['', 'a', '1a', ' 1', '1 ', '  1  ', '1 x', '1 2', '\t1', '1\t', '\r\n1', '1\r\n']
  .concat(['1\0', '5\0abc', '\x001', '+', '+1', '+ 1', '--1', '-1', '-0', '- 1', '-', '1-', '00'])
  .concat(['007', '0x1', '1.5', '1e3', '1,000', '9', '10', '99', '100', '999', '1000', ' x'])
  .concat(['4294967295', '4294967296', '9007199254740991', '9007199254740992', '9007199254740993'])
  .concat(['9223372036854775807', '9223372036854775808', '18446744073709551614'])
  .concat(['18446744073709551615', '18446744073709551616', '99999999999999999999'])
  .concat(['018446744073709551615', '00000000000000000001', '000000000000000000000000000001'])
  .concat(['1                   ', '1                    ', '1'.repeat(20), '1'.repeat(21)])
  .concat(['1'.repeat(40), '1'.repeat(500), `${'0'.repeat(300)}1`, `7${' '.repeat(3000)}`])

const arithmetic: Case[] = VALUES.flatMap((value): Case[] => {
  const shown = JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}..` : value)
  return [
    [`incr of ${shown} (${value.length})`, `${store('set', value, 'k', 9)}incr k 1\r\n${GET}`],
    [`decr of ${shown} (${value.length})`, `${store('set', value, 'k', 9)}decr k 1\r\n${GET}`],
  ]
})

/** A value, then one incr or decr after the other: a case for each number of them, with one get at
 * its end, since memcached pads in place only while nothing that was read before holds the item. */
function series(value: string, ...changes: string[]): Case[] {
  return changes.map((_, index) => {
    const done = changes.slice(0, index + 1)
    const name = `${value}: ${changes.join(', ').replaceAll('\r\n', ' ')}, after ${index + 1}`
    return [name, store('set', value, 'k', 3) + done.map(line => `${line}\r\n`).join('') + GET]
  })
}

const sequences: Case[] = [
  series('10', 'decr k 1', 'incr k 1', 'incr k 90', 'decr k 1'),
  series('100', 'decr k 91', 'incr k 1', 'incr k 89', 'incr k 1'),
  series('10', 'decr k 20'),
  series('10', 'decr k 10', 'incr k 5'),
  series('1000', 'decr k 18446744073709551615', 'incr k 18446744073709551615'),
  series('1', 'incr k 18446744073709551614', 'incr k 1', 'incr k 1'),
  series('1', 'incr k 18446744073709551615'),
  series('18446744073709551615', 'incr k 18446744073709551615', 'decr k 0', 'incr k 2'),
  series('0', 'decr k 1', 'decr k 0', 'incr k 0'),
  series('007', 'incr k 0', 'incr k 1'),
  series('007', 'incr k 100', 'incr k 1000'),
  series('5', 'incr k 5', 'append k 0 0 1\r\n7', 'incr k 1'),
  series('10', 'decr k 1', 'append k 0 0 1\r\n7', 'incr k 1'),
  series('10', 'decr k 1', 'prepend k 0 0 1\r\n7', 'incr k 1'),
  series('99', 'incr k 1', 'decr k 1', 'incr k 901'),
  series('9007199254740991', 'incr k 1', 'incr k 1', 'decr k 3'),
  series('4294967295', 'incr k 1', 'decr k 1', 'decr k 4294967295'),
].flat()

const counters: Case[] = ['incr', 'decr'].flatMap((command): Case[] => [
  [`${command} without arguments`, `${command}\r\n${VERSION}`],
  [`${command} without a delta`, `${ONE}${command} k\r\n${GET}`],
  [`${command} with noreply for a delta`, `${ONE}${command} k noreply\r\n${GET}`],
  [`${command} of a miss`, `${command} k 1\r\n${GET}`],
  [`${command} of a miss, silent`, `${command} k 1 noreply\r\n${GET}`],
  [`${command}, silent`, `${ONE}${command} k 1 noreply\r\n${GET}`],
  [`${command} of a word, silent`, `${store('set', 'x')}${command} k 1 noreply\r\n${GET}`],
  [`${command} with something for noreply`, `${ONE}${command} k 1 x\r\n${GET}`],
  [`${command} with five tokens`, `${ONE}${command} k 1 noreply x\r\n${GET}`],
  [`${command} of a key of 251`, `${command} ${KEY_251} 1\r\n${VERSION}`],
  [`${command} of a key of 251, silent`, `${command} ${KEY_251} 1 noreply\r\n${VERSION}`],
  [`${command} of a key of 251 by a word`, `${command} ${KEY_251} x\r\n${VERSION}`],
  [`${command} of an expired item`, `set k 0 -1 1\r\n1\r\n${command} k 1\r\n${GET}`],
  [`${command} keeps the flags`, `${store('set', '41', 'k', 42)}${command} k 1\r\n${GET}`],
  [`${command} 500 times`, ONE + `${command} k 7\r\n`.repeat(500) + GET],
  [`${command} with 30 deltas`, `${ONE}${command} k${times(30, '1')}\r\n${GET}`],
])

export const numbers: Group[] = [
  { name: 'forms of numbers', cases: forms },
  { name: 'values of incr and decr', cases: arithmetic },
  { name: 'incr and decr in series', cases: sequences },
  { name: 'incr and decr', cases: counters },
]
