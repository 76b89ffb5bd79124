// `npm run bench:latency`: the longest times. In process: how long an arena's lock is held and how
// long a request takes while the engine does its heaviest work. Beside memcached: the longest
// request while many items expire at once, and how fast a full cache adapts to values of another
// size.

import yargs from 'yargs'
import { stopAllOnExit } from './bench/processes.ts'
import { memcachedCommand, memslabCommand, whyNot } from './bench/servers.ts'
import { measureEngine } from './latency/engine.ts'
import { measureServers } from './latency/servers.ts'
import { workloads } from './latency/workloads.ts'

const options = await yargs(process.argv.slice(2))
  .scriptName('bench:latency')
  .usage('$0 [options]\n\nThe longest times: of the engine in process, and beside memcached.')
  .options({
    rounds: { type: 'number', default: 3, describe: 'Rounds of each workload in process' },
    millions: { type: 'number', default: 20, describe: 'Items of the growing table, millions' },
    only: { type: 'string', describe: 'Only workloads in process whose name contains this' },
    servers: { type: 'boolean', default: true, describe: 'Also compare with memcached' },
    memory: { type: 'number', default: 64, describe: 'Memory limit of each server, MiB (-m)' },
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
