// The examples of the docs compile and print what they say they print.

import t from 'tap'
import { startDaemon } from './support/daemon.ts'
import { compileExamples, examplesOf, runExample, writeExamples } from './support/examples.ts'
import { freePort } from './support/process.ts'

const PAGES = ['local.md', 'pool.md', 'strategies.md', 'discovery.md', 'scaling.md', 'adapters.md']
/** Examples of this page start their own daemon. */
const SERVING = 'local.md'

const pool = await startDaemon(t)
const free = await freePort()
const examples = PAGES.flatMap(page => examplesOf(page, page === SERVING ? free : pool.port))
const folder = t.testdir()
const paths = writeExamples(folder, examples)

t.test('examples compile', async t => {
  t.ok(examples.length >= 12, `${examples.length} examples`)
  t.strictSame(await compileExamples(folder), { code: 0, output: '' })
})

for (const [i, { name, printed, isRun }] of examples.entries()) {
  if (!isRun) continue
  t.test(`${name} prints what it says`, async t => {
    const { code, output } = await runExample(paths[i])
    t.strictSame(withPromised(output.trimEnd().split('\n'), printed), printed)
    t.equal(code, 0)
  })
}

/** The lines, with the promised one in place of one whose last number, a TTL, is a second less. */
function withPromised(lines: string[], promised: readonly string[]): string[] {
  return lines.map((line, i) => {
    const wanted = promised[i] ?? ''
    return wanted.replace(/\d+$/, number => String(Number(number) - 1)) === line ? wanted : line
  })
}
