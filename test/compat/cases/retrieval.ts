/** Edge cases of get, gets, gat and gats. */
import { type Case, GET, type Group, KEY_250, KEY_251, ONE, store, times, VERSION } from './case.ts'

const EXPTIMES = ['0', '+0', '-0', '00', '0x', 'x', '', '1.', '100', '-1', '-100', '2592000']
  .concat(['2592001', '2147483647', '2147483648', '4294967295', '4294967296', '-2147483648'])
  .concat(['-2147483649', '9223372036854775807', '9223372036854775808', '\t0', '0\t', 'noreply'])

const plain: Case[] = [
  ['get without a key', `get\r\n${VERSION}`],
  ['get and a space', `get \r\n${VERSION}`],
  ['gets without a key', `gets\r\n${VERSION}`],
  ['get of a missing key', GET],
  ['gets of a missing key', 'gets k\r\n'],
  ['get of a hit', ONE + GET],
  ['gets of a hit', `${ONE}gets k\r\n`],
  ['the same key twice', `${ONE}get k k\r\n`],
  ['gets of the same key twice', `${ONE}gets k k\r\n`],
  ['hit and miss and hit', `${ONE}${store('set', 'bb', 'b', 7)}get k a b\r\n`],
  ['gets of two keys', `${ONE}${store('set', 'bb', 'b', 7)}gets b k a\r\n`],
  ['get knows no noreply', `${ONE}get k noreply\r\n`],
  ['flags of 2^32-1 come back', `${store('set', 'v', 'k', 4294967295)}${GET}`],
  ['a value that looks like a reply', `${store('set', 'x\r\nEND\r\nVALUE k 0 1\r\n1')}gets k\r\n`],
  ['an empty value', store('set', '') + GET],
  ['a CAS number changes with a set', [`${ONE}gets k\r\n`, `${ONE}gets k\r\n`]],
  ['a CAS number stays without one', [`${ONE}gets k\r\n`, 'gets k\r\nget k\r\ngets k\r\n']],
  ['a CAS number changes with incr', [`${ONE}gets k\r\n`, 'incr k 1\r\ngets k\r\n']],
  ['a CAS number changes with append', [`${ONE}gets k\r\n`, `${store('append', 'x')}gets k\r\n`]],
  ['a CAS number and touch', [`${ONE}gets k\r\n`, 'touch k 0\r\ngets k\r\n']],
  ['a CAS number and gats', [`${ONE}gets k\r\n`, 'gats 0 k\r\ngets k\r\n']],
  ['a CAS number after delete and add', [`${ONE}gets k\r\n`, `delete k\r\n${ONE}gets k\r\n`]],
]

const keys: Case[] = [
  ['a key of 250 bytes misses', `get ${KEY_250}\r\n`],
  ['a key of 250 bytes hits', `${store('set', 'x', KEY_250)}get ${KEY_250}\r\n`],
  // 1.6.45 prints this line's end twice; memslab prints it once.
  ['a key of 251 bytes', [`get ${KEY_251}\r\n`, VERSION]],
  ['gets of 251 bytes', [`gets ${KEY_251}\r\n`, VERSION]],
  ['gat of 251 bytes', [`gat 0 ${KEY_251}\r\n`, VERSION]],
  ['gats of 251 bytes', [`gats 0 ${KEY_251}\r\n`, VERSION]],
  ['251 bytes behind a hit', [ONE, `get k ${KEY_251}\r\n`, VERSION]],
  ['251 bytes before a hit', [ONE, `get ${KEY_251} k\r\n`, VERSION]],
  ['251 bytes between hits', [ONE, `gets k ${KEY_251} k\r\n`, VERSION]],
  ['251 bytes behind misses', [`get a b ${KEY_251}\r\n`, VERSION]],
  ['251 bytes as the 24th key', [ONE, `get${times(23, 'k')} ${KEY_251} k\r\n`, VERSION]],
  ['251 bytes as the 101st key', [ONE, `get${times(100, 'k')} ${KEY_251} k\r\n`, VERSION]],
  ['251 bytes as the last of 1001', [ONE, `gets${times(1000, 'k')} ${KEY_251}\r\n`, VERSION]],
  ['251 bytes of a gat touch those before', [ONE, `gat -1 k ${KEY_251}\r\n`, GET]],
  ['control bytes in a key', 'set \x01\x02\x1f\x7f 0 0 1\r\nx\r\nget \x01\x02\x1f\x7f\r\n'],
  ['high bytes in a key', 'set \x80\xc3\xa9\xff 0 0 1\r\nx\r\nget \x80\xc3\xa9\xff \xff\r\n'],
  ['a key called noreply', `${store('set', 'x', 'noreply')}get noreply\r\ndelete noreply\r\n`],
  ['a key called get', `${store('set', 'x', 'get')}get get get\r\ndelete get\r\n`],
  ['a key with a percent sign', `${store('set', 'x', '%s%n%d')}get %s%n%d\r\n`],
]

const manyKeys: Case[] = [1, 22, 23, 24, 25, 26, 46, 47, 48, 100, 1000, 20000].flatMap(count => [
  [`get of ${count} keys`, `${ONE}get${times(count - 1, 'a')} k\r\n${VERSION}`] as const,
  [`gets of ${count} hits`, `${ONE}gets${times(count, 'k')}\r\n${VERSION}`] as const,
])

const manyTouched: Case[] = [1, 21, 22, 23, 24, 25, 100, 1000, 5000].map(count => [
  `gat of ${count} keys`,
  `${ONE}gat 0${times(count - 1, 'a')} k\r\n${VERSION}`,
])

const touching: Case[] = [
  ['gat without arguments', `gat\r\n${VERSION}`],
  ['gats without arguments', `gats\r\n${VERSION}`],
  ['gat with an exptime alone', `gat 0\r\n${VERSION}`],
  ['gats with an exptime alone', `gats 0\r\n${VERSION}`],
  ['gat with a key alone', `${ONE}gat k\r\n${VERSION}`],
  ['gat of a miss', 'gat 0 k\r\n'],
  ['gat of a hit', `${ONE}gat 0 k\r\n${GET}`],
  ['gats of a hit', `${ONE}gats 0 k\r\n`],
  ['gats of two hits and a miss', `${ONE}${store('set', 'y', 'b')}gats 0 k a b\r\n`],
  ['gat of the same key twice', `${ONE}gat 0 k k\r\n`],
  ['gat of the same key twice, expired by the first', `${ONE}gat -1 k k\r\n`],
  ['gat knows no noreply', `${ONE}gat 0 k noreply\r\n`],
  ...EXPTIMES.flatMap((exptime): Case[] => [
    [`gat with exptime ${JSON.stringify(exptime)}`, `${ONE}gat ${exptime} k\r\n${GET}`],
  ]),
  ...EXPTIMES.flatMap((exptime): Case[] => [
    [`touch with exptime ${JSON.stringify(exptime)}`, `${ONE}touch k ${exptime}\r\n${GET}`],
  ]),
  ['touch without arguments', `touch\r\n${VERSION}`],
  ['touch without an exptime', `${ONE}touch k\r\n${VERSION}`],
  ['touch of a miss', 'touch k 0\r\n'],
  ['touch of a miss with a bad exptime', 'touch k x\r\n'],
  ['touch with noreply', `${ONE}touch k 0 noreply\r\n${GET}`],
  ['touch of a miss with noreply', `touch k 0 noreply\r\n${GET}`],
  ['touch with a bad exptime and noreply', `${ONE}touch k x noreply\r\n${GET}`],
  ['touch with something in place of noreply', `${ONE}touch k 0 x\r\n${GET}`],
  ['touch with five tokens', `${ONE}touch k 0 noreply x\r\n${GET}`],
  ['touch of 251 bytes', `touch ${KEY_251} 0\r\n${VERSION}`],
  ['touch of 251 bytes with noreply', `touch ${KEY_251} 0 noreply\r\n${VERSION}`],
  ['touch of 251 bytes with a bad exptime', `touch ${KEY_251} x\r\n${VERSION}`],
]

export const retrieval: Group[] = [
  { name: 'get and gets', cases: plain },
  { name: 'keys', cases: keys },
  { name: 'many keys', cases: [...manyKeys, ...manyTouched] },
  { name: 'gat, gats and touch', cases: touching },
]
