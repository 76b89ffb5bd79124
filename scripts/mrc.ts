// `npm run bench:mrc`: how far `stats mrc` is from the truth. Each trace goes through a cache that
// samples its keys, and through caches of a quarter, half, twice and four times its memory. All in
// this process, with a clock that follows the trace.

import yargs from 'yargs'
import { MIB } from '../lib/bytes/units.ts'
import { EVICTIONS } from '../lib/engine/limits.ts'
import { chosenTraces, TRACE_OPTIONS, tableOf } from './bench/trace-options.ts'
import type { Access } from './bench/traces.ts'
import { EngineReplay } from './mrc/engine-run.ts'

const MEMORIES = [0.25, 0.5, 1, 2, 4] as const

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:mrc')
  .usage('$0 [options]\n\nCompares the estimates of `stats mrc` with runs at those sizes.')
  .options({
    ...TRACE_OPTIONS,
    eviction: { choices: EVICTIONS, default: 'worth' as const, describe: 'The eviction rule' },
  })
  .strictOptions()
  .help()
  .version(false)
  .parseAsync()

function main(): void {
  const { accesses, memory } = options
  const rows = [['trace', ...MEMORIES.flatMap(size => [`${size} missed`, 'error']), 'keys sampled']]
  const errors: number[] = []
  for (const { name, accesses: each } of chosenTraces(options)) {
    const replay = (size: number, samples: boolean) =>
      new EngineReplay(cacheOptions(size), samples).run(each() as Iterable<Access>, accesses)
    const estimated = replay(1, true).insight?.curve
    if (estimated === undefined) throw new Error('there is no estimate')
    const cells = MEMORIES.flatMap((size, index) => {
      const { missRatio } = replay(size, false)
      const error = (estimated.points[index].missRatio ?? Number.NaN) - missRatio
      errors.push(Math.abs(error))
      return [missRatio.toFixed(4), (error < 0 ? '' : '+') + error.toFixed(4)]
    })
    rows.push([name, ...cells, `${(estimated.sampledShare * 100).toFixed(1)} %`])
    console.log(rows.at(-1)?.join('  '))
  }
  console.log(`\n-m ${memory} -t ${options.threads} -o eviction=${options.eviction}`)
  console.log(tableOf(rows, options))
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length
  console.log(`largest error ${Math.max(...errors).toFixed(4)}, mean ${mean.toFixed(4)}`)
}

function cacheOptions(size: number) {
  const { memory, threads, eviction } = options
  return { memoryBytes: memory * size * MIB, shards: threads, eviction }
}

main()
