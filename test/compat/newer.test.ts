/**
 * The table of what memcached 1.6.45 answers otherwise than the oracle: each of its rows is of one
 * case, and each case has one row at most. (What the rows say is compared with the cases.)
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

t.test('each row is of a case that there is', async t => {
  t.same(strayRows(newerRows, GROUPS), [])
})

t.test('a row of no case, or of one that has a row, is found', async t => {
  const row = { group: 'watch', cases: ['watch noreply', 'no such case'], replies: [''] }
  t.same(strayRows([row, row], GROUPS), [
    'watch: no such case',
    'watch: watch noreply',
    'watch: no such case',
  ])
})
