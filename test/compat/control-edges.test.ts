/**
 * Edge cases of operators' commands: the same bytes to memcached and to memslab, replies compared
 * byte for byte. What newer releases answer is in cases/newer.ts.
 */
import t, { type Test } from 'tap'
import { type Pair, startPair } from '../support/differential.ts'
import { skipWithout } from '../support/oracle.ts'
import type { Group } from './cases/case.ts'
import { compareCase } from './cases/newer.ts'
import { operators, refusals, shutdowns } from './cases/operators.ts'

const skip = skipWithout('memcached')

t.test('operators are answered as memcached answers', { skip }, async t => {
  await runGroups(t, await startPair(t), operators)
})

t.test('what is not allowed is refused as memcached refuses it', { skip }, async t => {
  await runGroups(t, await startPair(t, ['-X', '-W']), refusals)
})

t.test('a shutdown that is none', { skip }, async t => {
  await runGroups(t, await startPair(t, ['-A']), shutdowns)
})

async function runGroups(t: Test, pair: Pair, groups: readonly Group[]): Promise<void> {
  for (const group of groups) {
    await t.test(group.name, async t => {
      for (const one of group.cases) {
        const found = await compareCase(pair, group.name, one)
        if (found === undefined) t.pass(one[0])
        else t.fail(one[0], { found })
      }
    })
  }
}
