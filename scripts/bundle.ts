// `node scripts/bundle.ts [FOLDER]` bundles lib/ and workers/ into FOLDER, `dist` by default: the
// JavaScript that the package has. A thread loads a dozen files then instead of two hundred, and
// keeps no comments in memory. What is imported while the program runs stays a file of its own, and
// what several entries share is in `lib/parts`. Packages are not bundled.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** What is started by its path, beside the entries that package.json names. */
const PROGRAMS = ['lib/main.ts', 'lib/load.ts', 'workers/entry.ts', 'workers/keeping.ts']

/** Files find others by their own path: shared ones must lie as deep as those that are searched. */
const PARTS = 'lib/parts/[name]-[hash]'

export async function bundle(folder: string): Promise<void> {
  const { engines, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const doors = Object.values(exports as Record<string, string | { default: string }>).flatMap(
    entry => (typeof entry === 'string' ? [] : [sourceOf(entry.default)]),
  )
  const [, oldest] = /\^(\d+)\./.exec(engines.node) ?? []
  await build({
    absWorkingDir: ROOT,
    entryPoints: [...new Set([...PROGRAMS, ...doors])],
    outbase: ROOT,
    outdir: folder,
    chunkNames: PARTS,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: `node${oldest}`,
    packages: 'external',
    sourcemap: true,
    logLevel: 'warning',
  })
}

function sourceOf(built: string): string {
  return built.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await bundle(process.argv[2] ?? join(ROOT, 'dist'))
}
