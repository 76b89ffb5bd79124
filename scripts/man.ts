// Writes the manual page beside what the build has made: `node scripts/man.ts FILE`.

import { writeFileSync } from 'node:fs'
import { manText } from '../lib/options/man.ts'
import { packageVersion } from '../lib/server/system/package.ts'

const [file = 'dist/memslab.1'] = process.argv.slice(2)
// A build of one source is the same on every day.
const epochS = Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000)
const date = new Date(epochS * 1000).toISOString().slice(0, 10)
writeFileSync(file, manText(packageVersion(), date))
