// `npm run soak`: some minutes of changing sizes, ends, flushes and limits from several threads,
// which end with every arena verified and the memory within its limit.

import yargs from 'yargs'
import { soak } from './soak/soak.ts'

const MIB = 2 ** 20

const { minutes, threads, memory, seed } = await yargs(process.argv.slice(2))
  .scriptName('soak')
  .usage('$0 [options]\n\nPuts the engine through all that it does, and verifies it.')
  .options({
    minutes: { type: 'number', default: 5, describe: 'How long' },
    threads: { type: 'number', default: 4, describe: 'Threads, each with an arena' },
    memory: { type: 'number', default: 64, describe: 'Memory, MiB' },
    seed: { type: 'number', default: 1, describe: 'Of what the threads do' },
  })
  .strict()
  .help()
  .version(false)
  .parseAsync()

const result = await soak({ seconds: minutes * 60, threads, memoryBytes: memory * MIB, seed })
const { gets, hits, sets, refused, flushes, items, aboveLimitMs } = result
const hitRatio = ((hits / gets) * 100).toFixed(1)
console.log(
  `${gets} gets (${hitRatio} % hits), ${sets} sets (${refused} refused), ${flushes} flushes`,
)
console.log(`${items} items at the end; every arena is sound, nothing is held`)
console.log(`after a lower limit the memory was above it for ${Math.ceil(aboveLimitMs)} ms at most`)
