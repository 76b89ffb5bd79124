/**
 * The table of memcached 1.6.45's replies that differ from the oracle's: each row belongs to a
 * case, and each case has at most one row. (The tests of the cases compare the replies.)
 */
import t from 'tap'
import { commands } from './cases/binary-commands.ts'
import { frames } from './cases/binary-frames.ts'
import { control } from './cases/control.ts'
import { lines } from './cases/lines.ts'
import { meta } from './cases/meta.ts'
import { newerRows, strayRows } from './cases/newer.ts'
import { numbers } from './cases/numbers.ts'
import { operators, refusals, shutdowns } from './cases/operators.ts'
import { retrieval } from './cases/retrieval.ts'
import { storage } from './cases/storage.ts'

const GROUPS = [
  ...[lines, retrieval, storage, numbers, control].flat(),
  ...[meta, operators, refusals, shutdowns].flat(),
  ...[frames, commands].flat(),
]

t.test('each row belongs to an existing case', async t => {
  t.same(strayRows(newerRows, GROUPS), [])
})

t.test('a row without a case, or a second row of a case, is found', async t => {
  const row = { group: 'watch', cases: ['watch noreply', 'no such case'], replies: [''] }
  t.same(strayRows([row, row], GROUPS), [
    'watch: no such case',
    'watch: watch noreply',
    'watch: no such case',
  ])
})
