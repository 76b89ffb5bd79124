// The folder of the package and its version. The same code runs from lib/ in a checkout and from
// dist/lib/ in an installation, so the folder is searched upwards.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export function packageVersion(): string {
  const manifest: { version: string } = JSON.parse(readPackageFile('package.json'))
  return manifest.version
}

export function readPackageFile(name: string): string {
  return readFileSync(join(packageFolder(), name), 'utf8')
}

function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error('memslab was moved out of its package')
    folder = parent
  }
  return folder
}
