// `npm run test:abuse`: each attack of scripts/abuse/attacks/ on a server with a neighbour beside
// it, who checks every value. With --baseline both servers take turns. Exits with 1 if a value was
// wrong, a peer was lost that broke no rule, or a server ended.

import yargs from 'yargs'
import type { Attack } from './abuse/attack.ts'
import { ATTACKS } from './abuse/attacks/index.ts'
import { Ledger } from './abuse/ledger.ts'
import { runAttack } from './abuse/run.ts'
import type { ServerSpec } from './abuse/servers.ts'
import { endThreads } from './abuse/threads.ts'
import { stopAllOnExit } from './bench/processes.ts'
import { memslabCommand, whyNot } from './bench/servers.ts'

const options = await yargs(process.argv.slice(2))
  .scriptName('test:abuse')
  .usage('$0 [options]\n\nAttacks a server, and shows what a neighbour of the attack notices.')
  .options({
    seconds: { type: 'number', default: 3, describe: 'How long each attack goes on' },
    rounds: { type: 'number', default: 1, describe: 'How often each attack is made' },
    only: { type: 'string', array: true, describe: 'Only attacks whose name contains this' },
    baseline: { type: 'string', describe: 'Command of a second server, such as memcached' },
    server: { type: 'string', describe: 'Command to start instead of this memslab' },
    threads: { type: 'number', default: 4, describe: 'Threads of each server (-t)' },
    memory: { type: 'number', default: 256, describe: 'Memory of each server, MiB (-m)' },
  })
  .strict()
  .help()
  .version(false)
  .parseAsync()

const { seconds, rounds, only = [''], threads, memory: memoryMib } = options
const spec = (name: string, command: readonly string[]): ServerSpec => {
  const reason = whyNot(command)
  if (reason !== undefined) throw new Error(reason)
  return { name, command, threads, memoryMib }
}
const specs = [spec('memslab', options.server?.split(' ') ?? memslabCommand())]
if (options.baseline !== undefined) specs.push(spec('baseline', asUser(options.baseline)))
const attacks: (Attack | null)[] = [null, ...ATTACKS].filter(attack =>
  only.some(part => (attack?.name ?? 'no attack').includes(part)),
)
stopAllOnExit()
const ledger = new Ledger(specs.map(({ name }) => name))
for (const attack of attacks) {
  for (let round = 0; round < rounds; round++) {
    for (const server of specs) ledger.add(attack, server.name, await runOne(attack, server))
  }
  console.log(ledger.rowsOf(attack))
}
for (const fault of ledger.faults) console.log(`WRONG: ${fault}`)
await endThreads()
process.exit(ledger.faults.length > 0 ? 1 : 0)

/** memcached refuses to run as root without -u. */
function asUser(command: string): string[] {
  const words = command.split(' ')
  const isMemcached = words[0].endsWith('memcached') && !words.includes('-u')
  return isMemcached && process.getuid?.() === 0 ? [...words, '-u', 'nobody'] : words
}

function runOne(attack: Attack | null, server: ServerSpec) {
  return runAttack(attack, server, seconds)
}
