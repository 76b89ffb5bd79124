/** Edge cases of frames: every opcode in every form, lengths that are wrong, streams that end. */
import { frame, Op, store, touch, u32 } from '../../support/binary-frames.ts'
import { GET, JUNK, NOOP, ONE } from './binary-case.ts'
import type { Case, Group } from './case.ts'

const OPCODES = Array.from({ length: 256 }, (_, opcode) => opcode)
const KNOWN_MAX = 0x26
const name = (opcode: number) => `0x${opcode.toString(16).padStart(2, '0')}`
const EXTRAS = [1, 4, 8, 20, 21, 255]

/** An opcode with and without each part; JUNK is consumed or closes the connection. */
function formsOf(opcode: number): Case[] {
  const bare: Case = [`${name(opcode)} bare`, (opcode === Op.STAT ? '' : frame(opcode)) + NOOP]
  const key: Case = [`${name(opcode)} with a key`, ONE + frame(opcode, { key: 'k' }) + NOOP + JUNK]
  if (opcode > KNOWN_MAX) return [bare, key]
  const withExtras = EXTRAS.flatMap((length): Case[] => {
    const extras = '\0'.repeat(length)
    const what = `${name(opcode)} with ${length} bytes of extras`
    return [
      [what, frame(opcode, { extras }) + NOOP + JUNK],
      [`${what} and a key`, ONE + frame(opcode, { extras, key: 'k' }) + NOOP + JUNK],
      [
        `${what}, key and value`,
        ONE + frame(opcode, { extras, key: 'k', value: '7' }) + GET + JUNK,
      ],
    ]
  })
  return [
    bare,
    key,
    ...withExtras,
    [`${name(opcode)} with a value`, frame(opcode, { value: 'v' }) + NOOP + JUNK],
    [
      `${name(opcode)} with key and value`,
      ONE + frame(opcode, { key: 'k', value: 'v' }) + GET + JUNK,
    ],
    [`${name(opcode)} on a missing key`, frame(opcode, { key: 'k' }) + NOOP + JUNK],
    [`${name(opcode)} with a CAS`, ONE + frame(opcode, { key: 'k', cas: 77n }) + NOOP + JUNK],
    [`${name(opcode)} with a key of 251`, frame(opcode, { key: 'K'.repeat(251) }) + NOOP],
    [
      `${name(opcode)} with a body shorter than its key`,
      frame(opcode, { key: 'kk', bodyBytes: 1 }),
    ],
    [
      `${name(opcode)} with a body shorter than its extras`,
      frame(opcode, { extras: 'eeee', bodyBytes: 3 }),
    ],
  ]
}

const headers: Case[] = [
  ['the response magic', NOOP + frame(Op.GET, { key: 'k', magic: 0x81 }) + NOOP],
  ['no magic', `${NOOP}version\r\n${JUNK}`],
  [
    'data type and vbucket',
    store(Op.SET, 'k', 'v', { dataType: 5, vbucket: 77 }) +
      frame(Op.GET, { key: 'k', dataType: 1, vbucket: 1 }),
  ],
  [
    'an opaque of ones',
    ONE + frame(Op.GET, { key: 'k', opaque: 0xffffffff }) + frame(Op.NOOP, { opaque: 0x80000000 }),
  ],
  ['a CAS on a get', ONE + frame(Op.GET, { key: 'k', cas: 2n ** 64n - 1n })],
  [
    'a key of all bytes',
    store(Op.SET, '\0 \r\n\xff', 'v') +
      frame(Op.GETK, { key: '\0 \r\n\xff' }) +
      frame(Op.DELETE, { key: '\0 \r\n\xff' }),
  ],
  ['half a header', frame(Op.NOOP).slice(0, 12), 'raw'],
  ['a header without its key', frame(Op.GET, { key: 'k' }).slice(0, -1), 'raw'],
  ['a header without its extras', store(Op.SET, 'k', 'v').slice(0, 30), 'raw'],
  ['a store without its value', store(Op.SET, 'k', 'value').slice(0, -1), 'raw'],
  ['text on a binary connection', [NOOP, `get k\r\nget k\r\nget k\r\nget k\r\n`]],
]

const keys: Case[] = [250, 251, 255, 256, 1000, 16_000, 16_359].flatMap((length): Case[] => {
  const key = 'K'.repeat(length)
  return [
    [`get of a key of ${length}`, frame(Op.GET, { key })],
    [`set of a key of ${length}`, store(Op.SET, key, 'v') + frame(Op.GET, { key })],
    [`getq of a key of ${length}`, frame(Op.GETQ, { key })],
    [`a key of ${length}, its body too short`, frame(Op.GET, { key, bodyBytes: 1 })],
    [`an unknown command with a key of ${length}`, frame(0x50, { key }) + JUNK],
    [
      `only the header of a key of ${length}`,
      frame(Op.GET, { keyBytes: length, bodyBytes: length }),
      'raw',
    ],
  ]
})

const longKeys: Case[] = [
  ['16384 bytes of header and key', frame(Op.GET, { key: 'K'.repeat(16_360) })],
  [
    'only the header of a key of 20000',
    frame(Op.GET, { keyBytes: 20_000, bodyBytes: 20_000 }),
    'raw',
  ],
]

const huge = (opcode: number, bodyBytes: number, extras = ''): string =>
  frame(opcode, { extras, key: 'k', bodyBytes })

// As signed numbers these lengths are negative, so nothing is discarded. (memcached discards what
// an earlier connection still had to, so these come before cases that close halfway.)
const negative: Case[] = [2 ** 31 + 9, 2 ** 31 + 1000, 2 ** 32 - 1].flatMap((length): Case[] => [
  [`set of ${length}`, ONE + huge(Op.SET, length, u32(0) + u32(0)) + GET],
  [`setq of ${length}`, ONE + huge(Op.SETQ, length, u32(0) + u32(0)) + GET],
  [`add of ${length}`, ONE + huge(Op.ADD, length, u32(0) + u32(0)) + GET],
  [`append of ${length}`, ONE + huge(Op.APPEND, length) + GET],
  [`an unknown command of ${length}`, ONE + huge(0x50, length) + GET],
  [`sasl of ${length}`, ONE + huge(Op.SASL_AUTH, length) + GET],
  [`noop of ${length}`, frame(Op.NOOP, { bodyBytes: length }) + GET],
  [`get of ${length}`, ONE + huge(Op.GET, length) + GET],
  [`touch of ${length}`, ONE + huge(Op.TOUCH, length, u32(0)) + GET],
  [`incr of ${length}`, ONE + huge(Op.INCR, length, '\0'.repeat(20)) + GET],
])

const lengths: Case[] = [
  ['set of 2^31', ONE + huge(Op.SET, 2 ** 31, u32(0) + u32(0)).slice(0, 30), 'raw'],
  ['unknown commands eat what follows them', frame(0x50, { value: '0123456789' }) + NOOP],
  ['unknown commands eat their key twice', frame(0x50, { key: 'kk' }) + JUNK.slice(0, 2) + NOOP],
  [
    'unknown commands eat their extras twice',
    frame(0x50, { extras: 'eeee' }) + JUNK.slice(0, 4) + NOOP,
  ],
  [
    'unknown commands eat key and extras twice',
    frame(0x50, { extras: 'eeee', key: 'kk', value: 'v' }) + JUNK.slice(0, 6) + NOOP,
  ],
  ['unknown commands eat other frames', frame(0x50, { key: 'k'.repeat(24) }) + NOOP + GET],
  [
    'sasl eats its value once',
    frame(Op.SASL_AUTH, { key: 'PLAIN', value: '\0a\0b' }) +
      frame(Op.SASL_STEP, { key: 'PLAIN', value: '\0a\0b' }) +
      NOOP,
  ],
  ['what follows a touch is the next frame', ONE + touch(Op.TOUCH, 'k', 0, { value: NOOP }) + GET],
  [
    'what follows the name of a report is the next frame',
    frame(Op.STAT, { key: 'none', value: NOOP }) + GET,
  ],
]

export const frames: Group[] = [
  { name: 'negative lengths', cases: negative },
  { name: 'headers', cases: headers },
  { name: 'keys', cases: keys },
  { name: 'long keys', cases: longKeys },
  { name: 'lengths', cases: lengths },
  { name: 'forms', cases: OPCODES.flatMap(formsOf) },
]
