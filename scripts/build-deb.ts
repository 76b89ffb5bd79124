// Makes the Debian package from what `npm run build` has made:
//
//   node scripts/build-deb.ts [--version 0.4.0-1] [--to build] [--level 6]
//
// The folder scripts/debian/ has what is written by hand: control data, units, options, maintainer
// scripts. Here the files are put in their places, and dpkg-deb packs them. The owner of all files
// is root, whoever builds. `level`: of xz, 0 is fast and large.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { packageVersion } from '../lib/server/system/package.ts'
import { stage } from './debian/stage.ts'

/** The first Debian package of a version of memslab. */
const REVISION = '1'

const { values } = parseArgs({
  options: {
    version: { type: 'string', default: `${packageVersion()}-${REVISION}` },
    to: { type: 'string', default: 'build' },
    level: { type: 'string', default: '6' },
  },
})
const { version, level } = values
const folder = resolve(values.to)

const root = mkdtempSync(join(tmpdir(), 'memslab-deb-'))
try {
  stage(root, version)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `memslab_${version}_amd64.deb`)
  const how = ['--root-owner-group', '-Zxz', `-z${level}`]
  execFileSync('dpkg-deb', [...how, '--build', root, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  console.log(file)
} finally {
  rmSync(root, { recursive: true, force: true })
}
