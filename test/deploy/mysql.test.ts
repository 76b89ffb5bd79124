// The example of an application over a database: it runs, a pool saves the database most of the
// queries, and nobody notices that a node of it was killed.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { skipWithoutMariadb } from '../support/mariadb.ts'

const skip =
  (process.env.MEMSLAB_DEPLOY === undefined && 'npm run test:deploy runs it') ||
  skipWithoutMariadb()
const run = promisify(execFile)
const WORDS = ['examples/mysql/run.js', '--seconds', '4', '--connections', '8']
/** What a pool leaves of the queries of a request. */
const SHARE_MAX = 0.5

t.test('an application over a database, with and without a pool', { skip }, async t => {
  const { stdout } = await run(process.execPath, WORDS, { timeout: 300_000 })
  const rows = stdout
    .split('\n')
    .filter(line => /^│ \d/.test(line))
    .map(line => line.split('│').map(cell => cell.trim()))
  t.same(
    rows.map(row => row[2]),
    ["'no pool'", "'pool of three'", "'one of three is killed'"],
  )
  const [without, ...withPool] = rows.map(row => row.slice(3, 8).map(Number))
  for (const row of [without, ...withPool]) {
    t.ok(row[0] > 0, `${row[0]} requests a second`)
    t.equal(row[4], 0, 'none failed, nobody was logged out')
  }
  t.ok(without[3] > 0.9, 'without a pool nearly each request asks')
  for (const row of withPool) t.ok(row[3] < without[3] * SHARE_MAX, `${row[3]} queries a request`)
})
