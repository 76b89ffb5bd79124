/**
 * Rows of newer.ts about binary frames: a body above 1 GiB closes the connection, whatever the
 * opcode. Replies have the form of support/binary-frames.ts, without the further reply of 1.6.18.
 */
import type { Row } from './case.ts'

/** Opcodes, by the first words of the cases. */
const OPCODES: readonly (readonly [words: string, opcode: string])[] = [
  ['set', '01'],
  ['setq', '11'],
  ['add', '02'],
  ['append', '0e'],
  ['an unknown command', '50'],
  ['sasl', '21'],
  ['touch', '1c'],
]
const LENGTHS = [2 ** 31 + 9, 2 ** 31 + 1000, 2 ** 32 - 1]

export const binaryRows: readonly Row[] = OPCODES.map(([words, opcode]) => ({
  group: 'negative lengths',
  cases: LENGTHS.map(length => `${words} of ${length}`),
  replies: [`01 00 00 6b #0 "" "" ""\n${opcode} 04 00 6b no cas "" "" "Invalid arguments"\n`],
  state: 'closed',
}))
