// `npm run check:consumer`: the package as its users get it. Packs it, installs it into an empty
// folder with the oldest TypeScript and Node types that it supports, and compiles a program that
// uses every entry, with the declarations checked (no skipLibCheck). Needs the registry.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const TYPESCRIPT = 'typescript@5.4'
const NODE_TYPES = '@types/node@24'
const ROOT = fileURLToPath(new URL('../', import.meta.url))

const PROGRAM = `import { CacheError, type Item, LocalCache, type Store, serve, structured } from 'memslab'
import { ClusterClient, type ClusterOptions, dnsServers } from 'memslab/client'
import { createFastifySessionStore } from 'memslab/adapters/fastify-session'
import { createCacheHandler, createUseCacheHandler } from 'memslab/adapters/next'
import { HttpCacheStore } from 'memslab/adapters/undici'
import { Cache, Shard, verify } from 'memslab/engine'
import { CacheAside, createSessionStore, KeyvStore, Tags, WriteBehind } from 'memslab/strategies'

const cache: Store<'sync'> = LocalCache.create({ memoryBytes: 2 ** 24, serializer: structured })
export const text: string | undefined = cache.get<string>('a')
export const item: Item<string> | undefined = cache.getItem<string>('a')
const options: ClusterOptions = { timeoutMs: 5, tls: { ca: 'x' } }
export const pool: Store<'async'> = new ClusterClient(dnsServers('a'), options)
export const bytes: Promise<Buffer | undefined> = pool.get<Buffer>('a', { as: 'bytes' })
export const either: Store[] = [cache, pool]
const aside = new CacheAside(pool, { ttlS: 1 })
export const user: Promise<{ name: string }> = aside.getOrSet('a', async () => ({ name: 'Ada' }))
export const store = new HttpCacheStore(pool)
export const handlers = [createUseCacheHandler(pool), createCacheHandler(pool)]
export const sessions = createFastifySessionStore(pool)
export { Cache, CacheError, createSessionStore, KeyvStore, Shard, serve, Tags, verify, WriteBehind }
`
const CONFIG = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    target: 'es2022',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    types: ['node'],
    skipLibCheck: false,
  },
  files: ['program.ts'],
}

const folder = mkdtempSync(join(tmpdir(), 'memslab-consumer-'))
try {
  run(ROOT, 'npm', 'run', '--silent', 'build')
  run(ROOT, 'npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(CONFIG))
  writeFileSync(join(folder, 'program.ts'), PROGRAM)
  const [tarball] = readdirSync(folder).filter(name => name.endsWith('.tgz'))
  run(folder, 'npm', 'install', '--silent', '--no-audit', TYPESCRIPT, NODE_TYPES, `./${tarball}`)
  run(folder, 'npx', 'tsc', '-p', '.')
  console.log(`compiles with ${TYPESCRIPT} and ${NODE_TYPES}`)
} finally {
  rmSync(folder, { recursive: true })
}

function run(cwd: string, command: string, ...args: string[]): Buffer {
  return execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
}
