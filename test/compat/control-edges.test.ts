/**
 * Edge cases of the commands of operators: the same bytes to memcached and to memslab, the replies
 * compared byte for byte.
 */
import t, { type Test } from 'tap'
import { compare, describe, type Pair, startPair } from '../support/differential.ts'
import { skipWithout } from '../support/oracle.ts'
import type { Group } from './cases/case.ts'
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
      for (const [name, steps] of group.cases) {
        const found = await compare(pair, { steps: typeof steps === 'string' ? [steps] : steps })
        if (found === undefined) t.pass(name)
        else t.fail(name, { found: describe(found) })
      }
    })
  }
}
