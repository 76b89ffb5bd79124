// `node scripts/client-package.ts FOLDER` writes the package `@memslab/client` into an empty
// folder: the pool client, the strategies and the adapters without the daemon. It is what these
// entries reach in `dist/` (`npm run build`), under a package.json of its own.

import { cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** Entries of the package, and what they are in memslab. */
export const CLIENT_ENTRIES: Readonly<Record<string, string>> = {
  '.': './client',
  './strategies': './strategies',
  './adapters/undici': './adapters/undici',
  './adapters/next': './adapters/next',
  './adapters/fastify-session': './adapters/fastify-session',
}
const NODE = '>=22'
const IMPORT = /^(?:im|ex)port\s[^;]*?from\s+['"]([^'"]+)['"]|^import ['"]([^'"]+)['"]/gm

interface Manifest {
  version: string
  license: string
  dependencies: Record<string, string>
  exports: Record<string, { types: string; default: string }>
}

export interface ClientPackage {
  /** Files of `dist/`: JavaScript and declarations, as paths below it. */
  files: string[]
  /** Packages that it imports. */
  packages: string[]
  /** Bytes of all files. */
  bytes: number
  /** Bytes of the JavaScript that `import '@memslab/client'` loads. */
  loadedBytes: number
}

/** What the entries reach in `dist`, the folder of the compiled files. */
export function clientPackage(dist: string): ClientPackage {
  const { exports } = manifest()
  const targets = Object.values(CLIENT_ENTRIES).map(name => exports[name])
  const scripts = reach(
    dist,
    targets.map(entry => entry.default.replace('./dist/', '')),
  )
  const types = reach(
    dist,
    targets.map(entry => entry.types.replace('./dist/', '')),
  )
  const files = [...scripts.files, ...types.files]
  const loaded = reach(dist, [exports['./client'].default.replace('./dist/', '')]).files
  return {
    files,
    packages: [...new Set([...scripts.packages, ...types.packages])].sort(),
    bytes: sizeOf(dist, files),
    loadedBytes: sizeOf(dist, loaded),
  }
}

/** Writes the package into an empty folder. */
export function writeClientPackage(dist: string, folder: string): void {
  const { version, license, dependencies, exports } = manifest()
  const { files, packages } = clientPackage(dist)
  for (const file of files) {
    mkdirSync(dirname(join(folder, 'dist', file)), { recursive: true })
    cpSync(join(dist, file), join(folder, 'dist', file))
  }
  for (const file of ['LICENSE', 'docs/pool.md', 'docs/strategies.md', 'docs/adapters.md']) {
    cpSync(join(ROOT, file), join(folder, file), { recursive: true })
  }
  const written = {
    name: '@memslab/client',
    version,
    description: 'A pool of memcached servers as one cache, caching strategies, and adapters',
    license,
    type: 'module',
    exports: Object.fromEntries([
      ...Object.entries(CLIENT_ENTRIES).map(([name, from]) => [name, exports[from]]),
      ['./package.json', './package.json'],
    ]),
    types: exports[CLIENT_ENTRIES['.']].types,
    engines: { node: NODE },
    dependencies: Object.fromEntries(packages.map(name => [name, dependencies[name]])),
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(written, null, 2)}\n`)
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
}

interface Reached {
  files: string[]
  packages: Set<string>
}

/** The files that these ones import, with themselves, and the packages, without Node's modules. */
function reach(dist: string, entries: readonly string[]): Reached {
  const files = new Set<string>()
  const packages = new Set<string>()
  const follow = (path: string) => {
    if (files.has(path)) return
    files.add(path)
    const text = readFileSync(join(dist, path), 'utf8')
    for (const [, from, bare] of text.matchAll(IMPORT)) {
      const target = from ?? bare
      if (target.startsWith('.')) follow(fileOf(dist, path, target))
      else if (!target.startsWith('node:')) packages.add(target)
    }
  }
  for (const entry of entries) follow(entry)
  return { files: [...files], packages }
}

/** In declarations `./a.ts` and `./a.js` are `./a.d.ts`. */
function fileOf(dist: string, path: string, target: string): string {
  const file = posix.join(posix.dirname(path), target)
  const declared = file.replace(/\.[jt]s$/, '.d.ts')
  return path.endsWith('.d.ts') && existsSync(join(dist, declared)) ? declared : file
}

function sizeOf(dist: string, files: readonly string[]): number {
  return files.reduce((sum, file) => sum + statSync(join(dist, file)).size, 0)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [folder] = process.argv.slice(2)
  if (folder === undefined) throw new Error('usage: client-package.ts FOLDER')
  writeClientPackage(join(ROOT, 'dist'), folder)
}
