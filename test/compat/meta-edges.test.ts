/**
 * Hand-written edge cases of the meta commands: the same bytes to memcached and to memslab. Replies
 * are compared byte for byte, and whether the connection stays open. cases/meta.ts says what is
 * left out and why, test/support/normalise.ts what may differ in a reply. What newer releases
 * answer is in cases/newer.ts.
 */
import t, { type Test } from 'tap'
import { type Pair, prepare, startPair } from '../support/differential.ts'
import { createNormaliser } from '../support/normalise.ts'
import { skipWithout } from '../support/oracle.ts'
import { SKIP_UNLESS_ALL } from '../support/runs.ts'
import { type Group, RESET_KEYS } from './cases/case.ts'
import { meta } from './cases/meta.ts'
import { compareCase } from './cases/newer.ts'

const CASES_MIN = 2000
const RESET = RESET_KEYS.map(key => `md ${key} q\r\n`).join('')

t.test('edge cases get the same replies', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t)
  for (const group of meta) await t.test(group.name, t => runGroup(t, pair, group))
})

const skipLong = skipWithout('memcached') || SKIP_UNLESS_ALL

t.test('edge cases without CAS numbers', { skip: skipLong }, async t => {
  const pair = await startPair(t, ['-C'])
  for (const group of meta.slice(1)) await t.test(group.name, t => runGroup(t, pair, group, true))
})

t.test('the cases are many, and each has a name of its own', async t => {
  const cases = meta.flatMap(group => group.cases.map(([name]) => `${group.name}: ${name}`))
  t.ok(cases.length >= CASES_MIN, `${cases.length} cases`)
  t.equal(new Set(cases).size, cases.length)
})

t.test('normalising keeps what must be compared', async t => {
  const normalise = createNormaliser()
  t.equal(
    normalise('VA 2 c77 kx f5\r\nhi\r\nHD c78 kx\r\n'),
    'VA 2 c#0 kx f5\r\nhi\r\nHD c#1 kx\r\n',
  )
  t.equal(normalise.lastCas('x'), '78')
  t.equal(
    normalise('HD c5 t30\r\nHD c5 t29 l4\r\nHD t31\r\n'),
    'HD c#0 t30\r\nHD c#0 t30 l*\r\nHD t40\r\n',
  )
  t.equal(
    normalise('VA 9\r\nHD c1 t2\n\r\nMN\r\n'),
    'VA 9\r\nHD c1 t2\n\r\nMN\r\n',
    'a value is no line',
  )
  t.equal(normalise('NS c0\r\nHD t4294967290 s4\r\n'), 'NS c0\r\nHD tpast s4\r\n')
})

async function runGroup(t: Test, pair: Pair, group: Group, casOff = false): Promise<void> {
  const failed: string[] = []
  for (const one of group.cases) {
    await prepare(pair, RESET)
    const found = await compareCase(pair, group.name, one, { casOff })
    if (found !== undefined) failed.push(`${one[0]}: ${found}`)
  }
  t.same(failed, [], `${group.cases.length} cases`)
}
