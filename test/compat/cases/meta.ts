/**
 * Edge cases of the meta commands. Left out because 1.6.45, which memslab follows, differs from
 * 1.6.18, the oracle here (test/protocol/meta/newer.test.ts has them):
 * - the flags x and E, the flag s of ms, and N in the append and prepend modes of ms;
 * - M with more or less than one character after it;
 * - errors in the flags of md, which 1.6.18 calls "invalid or duplicate flag" whatever they are;
 * - 18 and more flags, and an over-long key of ms, whose value 1.6.18 takes for the next command;
 * - ma q on a miss for which N creates an item, which 1.6.18 answers.
 * Left out because memslab differs on purpose:
 * - an opaque that is too long is refused before the command has any effect;
 * - a base64 key is answered in base64 also where mg created the item or append or prepend grew it;
 * - ma T sets the TTL of a number also where the number gets longer.
 */
import { type Case, GET, type Group, KEY_250, KEY_251, ONE, store, times, VERSION } from './case.ts'

const HIT = 'mg k s v c f k\r\n'
const ALL = 'mg k k s v t c f\r\n'
/** Stores a value under k, with flags and a TTL. */
const STORED = 'ms k 5 T300 F7\r\nhello\r\n'
const MN = 'mn\r\n'

function ms(flags: string, value = 'v', key = 'k'): string {
  return `ms ${key} ${value.length}${flags === '' ? '' : ` ${flags}`}\r\n${value}\r\n`
}

const FORMS = ['', '-1', '+1', '-0', '01', '0x1', '1a', 'a1', '1.', '1e0', '-', '+', '\t1', '1\t']
  .concat(['\v1', '1\f', '--1', '+-1', '000000000000000000000000000001', '1_0', '\xb9'])
  .concat(['0', '1', '60', '2592000', '2592001', '2147483647', '2147483648', '4294967295'])
  .concat(['4294967296', '4294967301', '-2147483648', '-2147483649', '-4294967295'])
  .concat(['9223372036854775807', '9223372036854775808', '18446744073709551615'])
  .concat(['-9223372036854775808', '-9223372036854775809', '-18446744073709551615'])
  .concat(['18446744073709551616', '-18446744073709551616', '9'.repeat(60)])

const NEWER = ['x', 'E', 'M']
const CHARACTERS = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1)).filter(
  character => character !== ' ' && character !== '\n' && !NEWER.includes(character),
)

const name = (text: string) => JSON.stringify(text)

const letters: Case[] = CHARACTERS.flatMap((character): Case[] => [
  [`mg of a hit with ${name(character)}`, `${STORED}mg k v ${character} f\r\n${ALL}`],
  [`mg of a miss with ${name(character)}`, `mg k ${character} k\r\n${ALL}`],
  [`ms with ${name(character)}`, `${character === 's' ? '' : ms(`k ${character} c`)}${ALL}`],
  [`ma with ${name(character)}`, `${ms('', '5')}ma k ${character} v\r\n${HIT}`],
  [`a mode of ms ${name(character)}`, `${STORED}${ms(`M${character} k`)}${ALL}`],
  [`a mode of ma ${name(character)}`, `${ms('', '5')}ma k M${character} v\r\n${HIT}`],
])

const mdFlags: Case[] = [...'bkqCDIJNORTcfhlstuvPLF'].map((letter): Case => {
  const words: Record<string, string> = { C: '1', D: '1', J: '1', N: '9', O: 'o', R: '9', T: '9' }
  const key = letter === 'b' ? 'aGk=' : 'k'
  const flag = `${letter}${letter === 'F' ? '1' : (words[letter] ?? '')}`
  return [`md with ${letter}`, `${STORED}md ${key} ${flag}\r\n${MN}${ALL}${MN}`]
})

const numbers: Case[] = FORMS.flatMap((form): Case[] => [
  [`T of mg ${name(form)}`, `${STORED}mg k T${form} t v\r\n${ALL}`],
  [`T of a miss ${name(form)}`, `mg k T${form} t v\r\n${ALL}`],
  [`N of a miss ${name(form)}`, `mg k N${form} t v\r\n${ALL}`],
  [`N of a hit ${name(form)}`, `${STORED}mg k N${form} t v\r\n${ALL}`],
  [`R ${name(form)}`, `${STORED}mg k R${form} t v\r\n${ALL}`],
  [`T of ms ${name(form)}`, `${ms(`T${form}`)}${ALL}`],
  [`F of ms ${name(form)}`, `${ms(`F${form}`)}${ALL}`],
  [`C of ms ${name(form)}`, `${STORED}${ms(`C${form} c`)}${ALL}`],
  [`C of ms of a miss ${name(form)}`, `${ms(`C${form} c`)}${ALL}`],
  [`C of an append ${name(form)}`, `${STORED}${ms(`C${form} MA`)}${ALL}`],
  [`C of ma ${name(form)}`, `${ms('', '5')}ma k C${form} v\r\n${HIT}`],
  [`D of ma ${name(form)}`, `${ms('', '5')}ma k D${form} v\r\n${HIT}`],
  [`D of ma down ${name(form)}`, `${ms('', '5')}ma k MD D${form} v\r\n${HIT}`],
  [`J of ma ${name(form)}`, `ma k N60 J${form} v t\r\n${HIT}`],
  [`N of ma ${name(form)}`, `ma k N${form} v t\r\n${ALL}`],
  [`all of mg with ${name(form)}`, `${STORED}mg k C${form} F${form} D${form} J${form} v\r\n${HIT}`],
  [`the length of ms ${name(form)}`, `${STORED}ms k ${form}\r\n${MN}${ALL}`],
])
  // Texts that are read as lengths, and consume what follows or close on it.
  .filter(([title, steps]) => {
    const length = /ms k (\S*)\r\nmn/.exec(`${steps}`)?.[1]
    return !title.startsWith('the length') || !/^[\s+0]*\d+$/.test(length ?? '') || length === '0'
  })

const opaques: Case[] = [0, 1, 5, 30, 31, 32, 33, 100, 1000].flatMap((length): Case[] => {
  const word = `O${'o'.repeat(length)}`
  return [
    [`an opaque of ${length} in mg of a hit`, `${STORED}mg k v ${word} f\r\n${ALL}`],
    [`an opaque of ${length} in mg of a miss`, `mg k v ${word} k\r\n${ALL}`],
    [`an opaque of ${length} in ms`, `${ms(`${word} k`)}${ALL}`],
    [`an opaque of ${length} in ms with a bad mode`, `${ms(`${word} MX`)}${ALL}`],
    [`an opaque of ${length} in a failing ms`, `${ms(`MR ${word} k`)}${ALL}`],
    [`an opaque of ${length} in md of a hit`, `${STORED}md k ${word}\r\n${length < 32 ? ALL : ''}`],
    [`an opaque of ${length} in md of a miss`, `md k ${word} k\r\n`],
    [`an opaque of ${length} in ma of a miss`, `ma k ${word} k\r\n`],
  ]
})

const BASE64 = [
  'aw==',
  'aw',
  'aw=',
  'aw===',
  'a',
  'aw==aw==',
  'a-w_=',
  'a.w.=.=',
  '====',
  '=',
  '=aw=',
]
  .concat([
    'a=w=',
    'aGVsbG8=',
    'aGVsbG8gd29ybGQ=',
    '/+8=',
    '__8=',
    '\xff\xff',
    'AAAA',
    'AA==',
    'DQo=',
  ])
  .concat(['Kg==', 'aw==\t', 'QUJDRA==', 'Q'.repeat(248), 'Q'.repeat(249), 'Q'.repeat(250)])

const base64: Case[] = BASE64.flatMap((key): Case[] => [
  [`${name(key)} of a miss`, `mg ${key} b k v\r\nmd ${key} k\r\nma ${key} b k\r\n`],
  [
    `${name(key)} stored and read`,
    `${ms('b k c', 'v', key)}mg ${key} b k v c\r\nme ${key} b\r\nmg k k v\r\nmd ${key} q\r\nma ${key} b k\r\n`,
  ],
  [
    `${name(key)} replaced, touched and deleted`,
    `${ms('b', '1', key)}${ms('b MR k', '2', key)}ma ${key} b k v\r\nmg ${key} b T60 k t v\r\nmd ${key} O1\r\n`,
  ],
])

const quiet: Case[] = [
  ['mg of a hit', `${STORED}mg k q\r\nmg k q v\r\nmg k q k\r\n${MN}`],
  ['mg of a miss', `mg k q\r\nmg k q v k O1\r\n${MN}`],
  ['mg of a miss with an error', `mg k q !\r\nmg k q q\r\nmg k T q\r\n${MN}`],
  ['mg that makes an item', `mg k q N60 v\r\nmg k q N60 v\r\n${MN}`],
  ['ms', `${ms('q')}${ms('q k c O1')}${MN}${HIT}`],
  [
    'ms that fails',
    `${ms('q MR')}${ms('q MA k')}${ms('q C1')}${ONE}${ms('q ME')}${ms('q C1')}${MN}`,
  ],
  ['ms with a bad chunk', `ms k 2 q\r\nabc\r\n${MN}`],
  ['ms with an error', `${ms('q !')}${ms('q MX')}${ms('q Tx')}${MN}${HIT}`],
  ['ms that is too large', `${ONE}ms k 2000000 q\r\n${'x'.repeat(2_000_000)}\r\n${MN}${HIT}`],
  ['md of a hit', `${STORED}md k q\r\n${MN}${HIT}`],
  ['md of a miss', `md k q\r\nmd k q k O1\r\n${MN}`],
  ['md with another CAS', `${STORED}md k q C1\r\n${MN}${HIT}`],
  ['md that marks stale', `${STORED}md k q I T60\r\n${MN}mg k t v f\r\n`],
  ['ma of a hit', `${ms('', '5')}ma k q v\r\nma k q\r\n${MN}${HIT}`],
  ['ma of a miss', `ma k q\r\nma k q v k O1\r\n${MN}`],
  ['ma of a word', `${ONE}${ms('', 'x')}ma k q\r\n${MN}`],
  ['ma with another CAS', `${ms('', '5')}ma k q C1\r\n${MN}`],
]

const noops: Case[] = [
  ['mn', MN],
  ['mn with words', 'mn x y z\r\nmn q\r\n'],
  ['mn with blanks', ' mn \r\nmn   \r\n'],
  ['mn without \\r', 'mn\nmn\n'],
  ['mn many times', MN.repeat(300)],
  ['MN', 'MN\r\nMn\r\nmN\r\nmnn\r\nm\r\nmx\r\nmz k\r\n'],
  ['meta commands alone', 'mg\r\nms\r\nmd\r\nma\r\nme\r\n'],
  ['meta commands alone, with blanks', 'mg  \r\n ms \r\n md\r\nma   \r\n me \r\n'],
  ['mget', `mget k\r\nmset k 1\r\n${MN}`],
]

const lines: Case[] = [
  ['blanks everywhere', `${STORED}  mg   k   v   k  \r\n`],
  ['without \\r', `${STORED}mg k v k\nms k 1\nx\r\nma k v\nmd k\n`],
  ['tabs are no blanks', `${STORED}mg k\tv k\r\nmg k v\tk f\r\n`],
  ['a NUL behind the key', `${STORED}mg k\0 v\r\n${MN}`],
  ['a NUL behind a flag', `${STORED}mg k v\0 k\r\n${MN}`],
  ['a NUL before the flags', `${STORED}mg k \0v k\r\n${MN}`],
  ['a NUL in the command', `${STORED}mg\0 k v\r\n${MN}`],
  ['a NUL in the length', `ms k 1\0 T5\r\nx\r\n${HIT}`],
  ['a \\r inside a line', `${STORED}mg k v\r k\r\n${MN}`],
  ['two \\r', `${STORED}mg k v\r\r\n${MN}`],
  ['words behind letters', `${STORED}mg k vabc kdef s1 t2 c3 f4 h5 q6 uu\r\n${HIT}`],
  ['letters in other orders', `${STORED}mg k f c s k v\r\nmg k k f\r\nmg k O1 k O\r\n`],
  ['all letters', `${STORED}mg k s t c f v h k q u P L O1 N0 R0 T0 F0\r\n${ALL}`],
  ['a flag twice', `${STORED}mg k v v\r\nmg k k s k\r\nmg k T1 T2\r\nmg k O1 O2\r\nmg k vv v\r\n`],
  [
    'two errors, the last one is told',
    `${STORED}mg k Tx Jx\r\nmg k Jx Tx\r\nmg k Dx Cx Fx\r\nmg k Fx Tx\r\n`,
  ],
  ['two errors, an unknown flag is told at once', `mg k Tx !\r\nmg k ! Tx\r\nmg k Tx T\r\n`],
  ['too many words', `${STORED}mg k${times(19, 'v')}\r\nmg k${times(40, 'v')}\r\n${MN}`],
  [
    'a key of 250',
    `${ms('k c', 'v', KEY_250)}mg ${KEY_250} k v s t\r\nmd ${KEY_250} k\r\nma ${KEY_250} k\r\nme ${KEY_250}\r\n`,
  ],
  ['a key of 251 in mg', [`mg ${KEY_251} v\r\n`, `mg ${KEY_251}\r\n`, `mg ${KEY_251} !\r\n`, MN]],
  ['a key of 251 in md', [`md ${KEY_251} k\r\n`, `md ${KEY_251} q\r\n`, MN]],
  ['a key of 251 in ma and me', [`ma ${KEY_251} k\r\n`, `me ${KEY_251}\r\n`, MN]],
  ['a long line', `${STORED}mg k v O${'o'.repeat(20)} P${'p'.repeat(1900)}\r\n${MN}`],
  ['a line beyond every bound', [STORED, `mg k v P${'p'.repeat(9000)}`], 'raw'],
  [
    'keys with other bytes',
    `${ms('k', 'v', '\xe9\x01\x7f')}mg \xe9\x01\x7f k v\r\nmd \xe9\x01\x7f k\r\n`,
  ],
  ['a key that looks like a flag', `${ms('', 'v', 'v')}mg v v k\r\nmd v k\r\n`],
]

const stores: Case[] = [
  ['ms without a length', `ms k\r\n${MN}`],
  ['ms with a letter for a length', `ms k S2\r\n${MN}`],
  ['ms with the flags first', `ms k T5 2\r\n${MN}`],
  ['an empty value', `${ms('c k', '')}${ALL}`],
  ['a value of line ends', `${ms('', '\r\n\r\n')}${ALL}`],
  ['a value like a command', `${ms('', 'mg k v\r\n')}${ALL}`],
  ['a value that is too short', `ms k 5\r\nabc\r\n${MN}${MN}${HIT}`],
  ['a value that is too long', `ms k 2\r\nabcdef\r\n${MN}${HIT}`],
  ['a value that is too long by one', `ms k 2 k O1\r\nabc\r\n${MN}${HIT}`],
  ['a value without its \\r', `ms k 2\r\nab\n\n${MN}${HIT}`],
  ['the set mode', `${ms('MS k')}${ms('MS k', 'two')}${ALL}`],
  ['the add mode', `${ms('ME k c')}${ms('ME k', 'two')}${ALL}`],
  ['the add mode with a CAS', `${ms('ME C5 k')}${ms('ME C5 k', 'two')}${ALL}`],
  ['the replace mode', `${ms('MR k')}${ONE}${ms('MR k F3 T60', 'two')}${ALL}`],
  ['the append mode', `${ms('MA k')}${STORED}${ms('MA k c F9 T5', ' two')}${ALL}`],
  ['the prepend mode', `${ms('MP k')}${STORED}${ms('MP k c F9 T5', 'two ')}${ALL}`],
  [
    'a CAS',
    [
      `${STORED}${HIT}`,
      `${ms('C<CAS k> c k', 'new')}${ALL}`,
      `${ms('C<CAS k>', 'n2')}${ms('C<CAS k>', 'n3')}${HIT}`,
    ],
  ],
  [
    'a CAS and replace',
    [`${STORED}${HIT}`, `${ms('C<CAS k> MR', 'new')}${ALL}`, `${ms('C1 MR')}${HIT}`],
  ],
  [
    'a CAS and append',
    [`${STORED}${HIT}`, `${ms('C<CAS k> MA', 'new')}${ALL}`, `${ms('C1 MA')}${HIT}`],
  ],
  [
    'a CAS and prepend',
    [`${STORED}${HIT}`, `${ms('C<CAS k> MP c', 'new')}${ALL}`, `${ms('C1 MP c')}${HIT}`],
  ],
  [
    'a CAS of a miss in each mode',
    ['', 'MS', 'ME', 'MR', 'MA', 'MP'].map(mode => ms(`C5 ${mode} c`, 'v', `k${mode}`)).join(''),
  ],
  ['flags stay with an append', `${ms('F4294967295 T60')}${ms('MA F1 T0')}${ALL}`],
  ['an item that has ended', `${ms('T-1')}${HIT}${ms('MR')}${ms('ME')}${HIT}`],
  ['I without a CAS', `${STORED}${ms('I')}mg k v t f\r\n`],
  ['I and a CAS of a miss', `${ms('I C5 k')}mg k v\r\n`],
  ['I and no CAS at all', `${STORED}${ms('I C0 k')}mg k v\r\n`],
  [
    'values of many sizes',
    [100, 1000, 5000, 33_000, 70_000, 300_000].map(size => `${ms('c k', 'x'.repeat(size))}${HIT}`),
  ],
  ['large values, pipelined', `${ms('k', 'y'.repeat(200_000))}${HIT.repeat(5)}`],
  [
    'a value that is too large',
    `${ONE}ms k 2000000 k O1\r\n${'x'.repeat(2_000_000)}\r\n${MN}${HIT}`,
  ],
  [
    'a value that is too large for an add',
    `${ONE}ms k 2000000 ME\r\n${'x'.repeat(2_000_000)}\r\n${MN}${HIT}`,
  ],
  [
    'an append that gets too large',
    `${ms('', 'x'.repeat(700_000))}${ms('MA k', 'y'.repeat(700_000))}mg k s\r\n`,
  ],
  [
    'errors swallow the value',
    `${ms('!', 'mg k v\r\n')}${ms('Tx', 'mg k v\r\n')}${ms('MX', 'mg k v\r\n')}${MN}`,
  ],
]

const STALE = `${STORED}md k I T60\r\n`

const leases: Case[] = [
  ['one wins on a miss', 'mg k N60 v t\r\nmg k N60 v t\r\nmg k v t\r\nget k\r\n'],
  ['the winner stores', ['mg k N60 v c\r\n', `${ms('C<CAS k> T90', 'new')}mg k v t N60 R30\r\n`]],
  ['a loser cannot store', ['mg k N60 v c\r\n', `${ms('C1 T90', 'new')}mg k v t\r\n`]],
  ['N of a hit', `${STORED}mg k N60 v t\r\n`],
  [
    'N and the order of flags',
    'mg k t N60\r\nmd k\r\nmg k N60 t\r\nmd k\r\nmg k N60 T90 t\r\nmd k\r\nmg k T90 N60 t\r\nmd k\r\nmg k N60 t T90\r\nmg k t\r\n',
  ],
  ['T and the order of flags', `${STORED}mg k t T60\r\nmg k T90 t\r\nmg k t\r\n`],
  ['N and R on a miss', 'mg k N60 R90 t\r\nmg k N60 R90 t\r\n'],
  ['N that never ends', 'mg k N0 t v\r\nmg k R90 t v\r\n'],
  ['N that has ended', 'mg k N-1 t v\r\nmg k v\r\n'],
  ['R wins once', `${STORED}mg k R400 v t\r\nmg k R400 v\r\nmg k v\r\n${ms('')}mg k R400 v\r\n`],
  ['R of an item that ends later', `${STORED}mg k R200 v t\r\nmg k R299 v t\r\n`],
  ['R of an item that never ends', `${ONE}mg k R400 v t\r\n`],
  ['R and T', `${STORED}mg k T20 R30 t\r\nmg k R30 t\r\n`],
  ['T and R', `${STORED}mg k R30 T20 t\r\nmg k R30 t\r\nmg k R30 t\r\n`],
  ['R of a miss', 'mg k R30 v\r\n'],
  ['a stale item: one wins', `${STALE}mg k v t f\r\nmg k v t f\r\nget k\r\nmg k v\r\n`],
  ['a stale item keeps its end without T', `${STORED}md k I\r\nmg k v t\r\n`],
  [
    'a stale item that did not end is given an end',
    `${ONE}mg k v\r\nmd k I\r\nmg k T60 u h l t k v\r\nmg k h t v\r\n`,
  ],
  ['a claim of an item that did not end', `mg k N0\r\nmg k T60 h t\r\ntouch k 90\r\nmg k h t\r\n`],
  ['a stale item that ends at once', `${STORED}md k I T-1\r\nmg k v t\r\n`],
  [
    'a stale item has a new CAS',
    [`${STORED}mg k c\r\n`, `md k I\r\nmg k c\r\n${ms('C<CAS k>')}mg k v c\r\n`],
  ],
  [
    'the winner of a stale item stores',
    [`${STALE}mg k v c\r\n`, `${ms('C<CAS k>', 'new')}mg k v c t\r\n`],
  ],
  [
    'a stale item is stored with an older CAS',
    `${STALE}mg k v c\r\n${ms('C1 I T900', 'old')}mg k v t c\r\nmg k v c\r\n${ms('', 'new')}mg k v\r\n`,
  ],
  [
    'an older CAS before anybody won',
    `${STALE}${ms('C1 I T900', 'old')}mg k v t c\r\nmg k v c\r\n`,
  ],
  [
    'an older CAS of an item that is not stale',
    `${STORED}${ms('C1 I T900 k c', 'old')}mg k v t c\r\nmg k v c\r\n`,
  ],
  [
    'an older CAS and another mode',
    `${STORED}${ms('C1 I MA', 'old')}${ms('C1 I ME', 'old')}${ms('C1 I MR', 'old')}mg k v t\r\n`,
  ],
  ['a newer CAS', `${STORED}${ms('C99999999 I', 'new')}mg k v\r\n`],
  ['stale again after a win', `${STALE}mg k v\r\nmd k I\r\nmg k v\r\nmg k v\r\n`],
  ['a claim is given up by md I', 'mg k N60\r\nmg k N60\r\nmd k I\r\nmg k N60\r\nmg k\r\n'],
  ['set ends a stale item', `${STALE}${store('set', 'x')}mg k v t f\r\n`],
  ['append ends a stale item', `${STALE}${store('append', 'x')}mg k v t f\r\n`],
  ['an append of ms ends a stale item', `${STALE}${ms('MA')}mg k v t f\r\n`],
  ['touch leaves a stale item', `${STALE}touch k 90\r\nmg k v t f\r\n`],
  ['gat leaves a claim to win', `${STALE}gat 90 k\r\nmg k v t f\r\n`],
  ['replace ends a stale item', `${STALE}${store('replace', 'x')}mg k v\r\n`],
  ['add leaves a stale item', `${STALE}${store('add', 'x')}mg k v\r\n`],
  ['mg without a value wins', `${STALE}mg k\r\nmg k v\r\n`],
  ['quiet mg wins', `${STALE}mg k q\r\nmg k v\r\n`],
  ['delete of a stale item', `${STALE}md k\r\nmg k v\r\n`],
  [
    'h before and after',
    `${STORED}mg k h\r\nmg k h\r\nmg k h\r\n${ms('')}mg k h\r\nget k\r\nmg k h\r\n`,
  ],
  ['h of an item made', 'mg k N60 h\r\nmg k h\r\n'],
  ['u is no hit', `${STORED}mg k h u\r\nmg k h u v\r\nmg k u N60\r\nmg k h\r\nmg k h\r\n`],
  ['u of an item made', 'mg k N60 u h\r\nmg k u h\r\n'],
  ['h after touch and gat', `${STORED}touch k 60\r\nmg k h u\r\ngat 60 k\r\nmg k h\r\n`],
  ['T is a hit', `${STORED}mg k T60\r\nmg k h t\r\n`],
  ['l is small', `${STORED}mg k l h v\r\nmg k l\r\n`],
]

const deletes: Case[] = [
  ['md of a hit', `${STORED}md k\r\n${HIT}`],
  ['md of a miss', 'md k\r\nmd k k\r\nmd k O1 k\r\n'],
  ['md with a CAS', [`${STORED}mg k c\r\n`, `md k C1 k O1\r\nmd k C<CAS k> k O1\r\nmd k C1\r\n`]],
  ['md with a CAS of 0', `${STORED}md k C0\r\n${HIT}`],
  [
    'md I with a CAS',
    [`${STORED}mg k c\r\n`, `md k I C1\r\nmg k v\r\nmd k I C<CAS k> T60\r\nmg k v t\r\n`],
  ],
  ['md T without I', `${STORED}md k T60\r\n${HIT}`],
  ['md I of a miss', 'md k I T60 k\r\n'],
  ['md of an item that has ended', `${ms('T-1')}md k\r\n`],
  ['md v', `${STORED}md k v s t\r\n`],
]

const sums: Case[] = [
  ['ma of a miss', 'ma k\r\nma k v k O1 t c\r\n'],
  ['ma makes a number', 'ma k N60\r\nma k v t\r\n'],
  [
    'ma makes a number and says it',
    `ma k N60 J13 D5 v t k O1\r\nma k N60 J13 D5 v t k O1\r\n${HIT}`,
  ],
  ['ma makes the largest number', `ma k N0 J18446744073709551615 v t\r\nma k v\r\n${HIT}`],
  [
    'ma makes a number, and the order of flags',
    'ma k t N60 v\r\nmd k\r\nma k N60 T90 t\r\nmg k t\r\nmd k\r\nma k T90 N60 t\r\nmg k t\r\n',
  ],
  ['ma with N of a hit', `${ms('', '5')}ma k N60 J100 v t\r\n`],
  [
    'the modes',
    `${ms('', '50')}${['', 'MI', 'M+', 'MD', 'M-'].map(mode => `ma k ${mode} D3 v\r\n`).join('')}`,
  ],
  ['down to 0', `${ms('', '5')}ma k MD D9 v\r\nma k MD v\r\n`],
  ['up over the end', `${ms('', '18446744073709551615')}ma k v\r\n`],
  ['a sum that gets longer', `${ms('F3 T60', '99')}ma k v c t\r\n${ALL}`],
  ['a sum that gets shorter', `${ms('F3 T60', '100')}ma k MD v\r\nget k\r\nmg k f t\r\n`],
  ['T of a sum', `${ms('T60', '5')}ma k t T90 v\r\nma k t\r\nma k T0 t\r\n`],
  ['T that has ended', `${ms('T60', '5')}ma k T-1 v\r\nma k\r\n`],
  ['a word', `${ms('', 'x')}ma k\r\nma k v k O1\r\n`],
  ['an empty value', `${ms('', '')}ma k\r\nma k C1\r\n`],
  ['a word and a CAS', `${ms('', 'x')}ma k C1\r\n`],
  ['a number of 21 digits', `${ms('', '1'.repeat(21))}ma k v\r\n`],
  ['a number with zeros before it', `${ms('', '007')}ma k v\r\n${HIT}`],
  ['a long value', `${ms('', '7'.repeat(5000))}ma k v\r\n`],
  ['a CAS', [`${ms('', '5')}mg k c\r\n`, 'ma k C<CAS k> v c\r\nma k C1 v k O1\r\nma k C1 q\r\n']],
  ['a new CAS each time', `${ms('', '5')}mg k c\r\nma k c\r\nma k c\r\nmg k c\r\n`],
  ['flags that mean nothing to it', `${ms('', '5')}ma k s f h l u P L I F1 R5 v\r\n`],
  ['a stale number in place', `${ms('', '55')}md k I\r\nma k v\r\nmg k v\r\nmg k v\r\n`],
  ['incr and ma', `${ms('', '5')}incr k 1\r\nma k v\r\ndecr k 3\r\nma k MD v\r\n`],
]

const facts: Case[] = [
  ['me of a hit', `${ms('', '5')}me k\r\nmg k\r\nme k\r\n`],
  ['me of a miss', 'me k\r\nme k b\r\nme k x y\r\n'],
  ['me with an end', `${ms('T-1')}me k\r\n`],
  ['me of a key in base64', `${ms('b', 'v', 'aw==')}me k\r\nme aw== b\r\nme aw== x b\r\n`],
  ['me of what is no base64', 'me k b\r\nme = b\r\n'],
  ['me is no hit', `${ms('')}me k\r\nmg k h\r\n`],
  [
    'classic commands see them',
    `${ms('F5 T60')}get k\r\n${GET}touch k 5\r\nmg k t\r\ndelete k\r\n${VERSION}`,
  ],
]

export const meta: Group[] = [
  { name: 'letters', cases: letters },
  { name: 'flags of md', cases: mdFlags },
  { name: 'numbers behind letters', cases: numbers },
  { name: 'opaques', cases: opaques },
  { name: 'keys in base64', cases: base64 },
  { name: 'quiet', cases: quiet },
  { name: 'commands', cases: noops },
  { name: 'meta lines', cases: lines },
  { name: 'ms', cases: stores },
  { name: 'leases', cases: leases },
  { name: 'md', cases: deletes },
  { name: 'ma', cases: sums },
  { name: 'me', cases: facts },
]
