/**
 * Hand-written frames of the binary protocol, every opcode in every form: the same bytes to
 * memcached and to memslab. Responses are compared field by field, and whether the connection stays
 * open. What newer releases answer is in cases/newer.ts.
 */
import t, { type Test } from 'tap'
import { BINARY, frame, Op } from '../support/binary-frames.ts'
import { type Pair, prepare, startPair } from '../support/differential.ts'
import { skipWithout } from '../support/oracle.ts'
import { KEYS } from './cases/binary-case.ts'
import { commands } from './cases/binary-commands.ts'
import { frames } from './cases/binary-frames.ts'
import type { Group } from './cases/case.ts'
import { compareCase } from './cases/newer.ts'

const GROUPS: Group[] = [...frames, ...commands]
const CASES_MIN = 1000
const RESET = KEYS.map(key => frame(Op.DELETEQ, { key })).join('')

t.test('frames get the same responses', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t)
  for (const group of GROUPS) await t.test(group.name, t => runGroup(t, pair, group))
})

t.test('the cases are many, and each has a name of its own', async t => {
  const cases = GROUPS.flatMap(group => group.cases.map(([name]) => `${group.name}: ${name}`))
  t.ok(cases.length >= CASES_MIN, `${cases.length} cases`)
  t.equal(new Set(cases).size, cases.length)
})

async function runGroup(t: Test, pair: Pair, group: Group): Promise<void> {
  let passed = 0
  for (const one of group.cases) {
    await prepare(pair, RESET, BINARY)
    // When memcached closes it may lose responses that it has not sent.
    const how = { quietMs: 60, closeLosesReplies: true, dialect: BINARY }
    const found = await compareCase(pair, group.name, one, how)
    if (found === undefined) passed++
    else t.fail(one[0], { found })
  }
  t.equal(passed, group.cases.length, `${passed} cases`)
}
