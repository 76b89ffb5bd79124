// `npm run check:suites`: our adapters against the tests that their libraries publish. Installs
// Keyv 5 and its test suite into an empty folder and runs KeyvStore through it. The other libraries
// publish none: test/adapters has the same cases. Needs the registry.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from './client-package.ts'

const PACKAGES = ['@keyv/test-suite@2.1.2', 'keyv@5.6.0', 'vitest@4.1.12']

/** The suite writes into the options that it expects a store to have. */
const PROGRAM = `import keyvTestSuite from '@keyv/test-suite'
import Keyv from 'keyv'
import * as vitest from 'vitest'
import { LocalCache } from '${urlOf('lib/local/local-cache.ts')}'
import { KeyvStore } from '${urlOf('lib/strategies/keyv.ts')}'

const cache = LocalCache.create({ memoryBytes: 2 ** 24 })
class Suited extends KeyvStore {
  get opts() {
    return super.opts ?? { dialect: '', url: '' }
  }
}
keyvTestSuite(vitest, Keyv, () => new Suited(cache))
`

const folder = mkdtempSync(join(tmpdir(), 'memslab-suites-'))
try {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  writeFileSync(join(folder, 'keyv.test.js'), PROGRAM)
  // One of its dependencies would be compiled, for tests of its own.
  run('npm', 'install', '--silent', '--no-audit', '--ignore-scripts', ...PACKAGES)
  run(process.execPath, join(folder, 'node_modules/vitest/vitest.mjs'), 'run')
} finally {
  rmSync(folder, { recursive: true })
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] })
}

function urlOf(path: string): string {
  return pathToFileURL(join(ROOT, path)).href
}
