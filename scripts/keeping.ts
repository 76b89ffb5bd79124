// `npm run bench:keeping`: how long it takes to keep a cache beyond its process and to have it
// back, and how long the lock of an arena is held meanwhile. One thread, in process.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import yargs from 'yargs'
import { plainTable } from './bench/report.ts'
import { HEAD, measureSnapshots } from './keeping/snapshots.ts'

const { mib, folder } = await yargs(process.argv.slice(2))
  .scriptName('bench:keeping')
  .usage('$0 [options]\n\nSeconds and lock holds of snapshots and restores.')
  .options({
    mib: { type: 'number', default: 1024, describe: 'Bytes of all values, MiB' },
    folder: { type: 'string', default: tmpdir(), describe: 'Where the files are written' },
  })
  .strict()
  .help()
  .version(false)
  .parseAsync()

const place = mkdtempSync(join(folder, 'keeping-'))
try {
  const rows = [100, 4096].flatMap(valueBytes => measureSnapshots(place, mib, valueBytes))
  console.log(plainTable([HEAD, ...rows]))
} finally {
  rmSync(place, { recursive: true, force: true })
}
