// `npm run bench:keeping`: how long it takes to keep a cache beyond its process and to have it
// back, and how long the lock of an arena is held meanwhile: one thread, in process. Then warm
// restarts of whole servers, beside memcached's, and what clients notice of snapshots.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import yargs from 'yargs'
import { plainTable } from './bench/report.ts'
import { BESIDE_HEAD, measureBeside } from './keeping/beside.ts'
import { HEAD, measureSnapshots } from './keeping/snapshots.ts'
import { measureWarmRestarts, WARM_HEAD } from './keeping/warm-restart.ts'

const { mib, folder, memory, only } = await yargs(process.argv.slice(2))
  .scriptName('bench:keeping')
  .usage('$0 [options]\n\nSeconds and lock holds of snapshots and restores.')
  .options({
    mib: { type: 'number', default: 1024, describe: 'Bytes of all values, MiB' },
    only: { choices: ['snapshots', 'restarts', 'clients'] as const, describe: 'One part' },
    memory: { type: 'string', default: '/dev/shm', describe: 'Where the files of -e are written' },
    folder: { type: 'string', default: tmpdir(), describe: 'Where the files are written' },
  })
  .strict()
  .help()
  .version(false)
  .parseAsync()

const VALUE_BYTES = [100, 4096]

const place = mkdtempSync(join(folder, 'keeping-'))
try {
  const wants = (part: string) => only === undefined || only === part
  if (wants('snapshots')) {
    const rows = VALUE_BYTES.flatMap(valueBytes => measureSnapshots(place, mib, valueBytes))
    console.log(plainTable([HEAD, ...rows]))
  }
  if (wants('restarts')) {
    const rows: string[][] = []
    for (const bytes of VALUE_BYTES) rows.push(...(await measureWarmRestarts(memory, mib, bytes)))
    console.log(plainTable([WARM_HEAD, ...rows]))
  }
  if (wants('clients')) {
    const rows: string[][] = []
    for (const bytes of VALUE_BYTES) rows.push(...(await measureBeside(place, mib, bytes)))
    console.log(plainTable([BESIDE_HEAD, ...rows]))
  }
} finally {
  rmSync(place, { recursive: true, force: true })
}
