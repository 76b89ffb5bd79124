// `npm run bench:latency`: the longest times. In process: how long the lock of an arena is held and
// how long a request takes, whatever the engine does meanwhile. Beside memcached: the longest
// request of a peer while many items end at once, and how soon a full cache has become one of
// another size.

import yargs from 'yargs'
import { stopAllOnExit } from './bench/processes.ts'
import { memcachedCommand, memslabCommand, whyNot } from './bench/servers.ts'
import { measureEngine } from './latency/engine.ts'
import { measureServers } from './latency/servers.ts'
import { workloads } from './latency/workloads.ts'

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:latency')
  .usage('$0 [options]\n\nThe longest times, in process and beside memcached.')
  .options({
    rounds: { type: 'number', default: 3, describe: 'Rounds for each workload in process' },
    millions: { type: 'number', default: 20, describe: 'Items of the growing table, millions' },
    only: { type: 'string', describe: 'Only workloads in process whose name has this in it' },
    servers: { type: 'boolean', default: true, describe: 'Beside memcached, too' },
    memory: { type: 'number', default: 64, describe: 'Limit of each server, MiB (-m)' },
  })
  .strict()
  .help()
  .version(false)
  .parseAsync()

const { rounds, millions, only = '', memory } = options
const chosen = workloads(millions).filter(({ name }) => name.includes(only))
console.log(`${measureEngine(chosen, rounds)}\n`)
if (options.servers && options.only === undefined) {
  const reason = whyNot(memcachedCommand()) ?? whyNot(memslabCommand())
  if (reason !== undefined) throw new Error(reason)
  stopAllOnExit()
  console.log(await measureServers(memory))
}
