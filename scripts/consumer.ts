// `npm run check:consumer`: the packages as their users get them. Packs memslab and
// @memslab/client, installs each into an empty folder with the oldest TypeScript and Node types
// that they support, and compiles a program that uses every entry, with the declarations checked
// (no skipLibCheck). Then @memslab/client runs against a daemon on every maintained Node, which
// must not warn of anything. Needs the registry.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT, writeClientPackage } from './client-package.ts'

const TYPESCRIPT = 'typescript@5.4'
const NODE_TYPES = '@types/node@24'
const NODES = [22, 24, 26]
const PORT = 11_931
const START_TRIES_MAX = 300
const RUN_MS_MAX = 60_000

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
/** The same without what only memslab has. */
const CLIENT_PROGRAM = `import { CacheError, ClusterClient, type Store } from '@memslab/client'
import { createFastifySessionStore } from '@memslab/client/adapters/fastify-session'
import { createUseCacheHandler } from '@memslab/client/adapters/next'
import { HttpCacheStore } from '@memslab/client/adapters/undici'
import { CacheAside, Tags, WriteBehind } from '@memslab/client/strategies'

const pool: Store<'async'> = new ClusterClient(['127.0.0.1:${PORT}'], { timeoutMs: 20_000 })
await pool.set('a', { name: 'Ada' }, { ttlS: 60 })
const found = await pool.get<{ name: string }>('a')
const aside = new CacheAside(pool, { ttlS: 60 })
const loaded = await aside.getOrSet(\`b\${process.pid}\`, async () => [1, 2])
await aside.settled()
const adapters = [
  new HttpCacheStore(pool),
  createUseCacheHandler(pool),
  createFastifySessionStore(pool),
]
const error = await pool.set('a b', 1).catch((error: unknown) => error)
const code = error instanceof CacheError ? error.code : ''
console.log(found?.name, loaded.length, adapters.length, code, typeof Tags, typeof WriteBehind)
pool.close()
`
const CLIENT_PRINTS = 'Ada 2 3 KEY function function'

const CONFIG = {
  compilerOptions: {
    strict: true,
    target: 'es2022',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    types: ['node'],
    skipLibCheck: false,
  },
  files: ['program.ts'],
}

const folder = mkdtempSync(join(tmpdir(), 'memslab-consumer-'))
let daemon: ChildProcess | undefined
try {
  run(ROOT, 'npm', 'run', '--silent', 'build')
  compile('memslab', ROOT, PROGRAM)
  const source = join(folder, 'source')
  mkdirSync(source)
  writeClientPackage(join(ROOT, 'dist'), source)
  const client = compile('@memslab/client', source, CLIENT_PROGRAM)
  daemon = await startDaemon()
  for (const version of NODES) runOn(version, client)
} finally {
  daemon?.kill('SIGKILL')
  rmSync(folder, { recursive: true })
}

/** Installs a package into a folder of its own and compiles the program there. */
function compile(name: string, source: string, program: string): string {
  const place = join(folder, name.replace('/', '-'))
  mkdirSync(place)
  run(source, 'npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', place)
  writeFileSync(join(place, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  writeFileSync(join(place, 'tsconfig.json'), JSON.stringify(CONFIG))
  writeFileSync(join(place, 'program.ts'), program)
  const [tarball] = readdirSync(place).filter(file => file.endsWith('.tgz'))
  run(place, 'npm', 'install', '--silent', '--no-audit', TYPESCRIPT, NODE_TYPES, `./${tarball}`)
  run(place, 'npx', 'tsc', '-p', '.')
  console.log(`${name} compiles with ${TYPESCRIPT} and ${NODE_TYPES}`)
  return place
}

async function startDaemon(): Promise<ChildProcess> {
  const line = [join(ROOT, 'dist/lib/main.js'), '-p', `${PORT}`, '-l', '127.0.0.1', '-t', '1']
  const child = spawn(process.execPath, line, { stdio: 'ignore' })
  for (let tries = 0; tries < START_TRIES_MAX && child.exitCode === null; tries++) {
    if (await accepts()) return child
    await sleep(100)
  }
  child.kill('SIGKILL')
  throw new Error('the daemon did not start')
}

function accepts(): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(PORT, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Runs the compiled program on the newest release of a version of Node. */
function runOn(version: number, place: string): void {
  const binary = `node-${process.platform}-${process.arch}`
  const alias = `node${version}`
  run(place, 'npm', 'install', '--silent', '--no-audit', `${alias}@npm:${binary}@${version}`)
  const node = join(place, 'node_modules', alias, 'bin/node')
  const ran = spawnSync(node, ['program.js'], {
    cwd: place,
    encoding: 'utf8',
    timeout: RUN_MS_MAX,
  })
  const printed = ran.stdout.trim()
  if (ran.status !== 0 || ran.stderr !== '' || printed !== CLIENT_PRINTS) {
    throw new Error(`on Node ${version}: ${ran.stderr || printed}, exit code ${ran.status}`)
  }
  console.log(`@memslab/client runs on Node ${run(place, node, '--version').toString().trim()}`)
}

function run(cwd: string, command: string, ...args: string[]): Buffer {
  return execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
}
