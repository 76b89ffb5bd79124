// The package as its users get it: its files, the exports of its entries, its declarations, the
// error on an old Node, and its examples.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { bundle } from '../scripts/bundle.ts'
import { CLIENT_ENTRIES, clientPackage, writeClientPackage } from '../scripts/client-package.ts'
import { runExample, withSources } from './support/examples.ts'
import { freePort } from './support/process.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const DOORS = [
  'index',
  'client/index',
  'strategies/index',
  'engine/index',
  'adapters/undici',
  'adapters/next',
  'adapters/fastify-session',
]
const OLD_NODES = ['18.20.8', '22.12.0', '24.20.0', '26.5.0']
/** The doors that @memslab/client has too: every maintained Node can open them. */
const CLIENT_DOORS = DOORS.filter(door => !['index', 'engine/index'].includes(door))
const CLIENT_BYTES_NAMED = /its files have about (\d+) KB, of which .* loads about (\d+) KB/
/** Generic since TypeScript 5.7; older compilers do not accept type arguments. */
const GENERIC_BYTES = /\b(Buffer|DataView|(Uint8|Int32|Uint32|Float64|BigInt64)Array)</

/** The compiled files. */
const COMPILED = t.testdir()
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')
const LINE = [TSC, '-p', join(ROOT, 'tsconfig.build.json'), '--outDir', COMPILED]
execFileSync(process.execPath, LINE, { cwd: ROOT })
await bundle(COMPILED)

interface Entry {
  types: string
  default: string
}

interface Packed {
  files: { path: string }[]
}

t.test('the files of the package', async t => {
  const line = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const printed = execFileSync('npm', line, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })
  const listed: unknown = JSON.parse(printed)
  const [{ files }] = (Array.isArray(listed) ? listed : Object.values(listed as object)) as Packed[]
  const paths = new Set(files.map(({ path }) => path))
  const wanted = ['LICENSE', 'README.md', 'CHANGELOG.md', 'scripts/debian/memslab.service']
  for (const page of readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md')))
    wanted.push(`docs/${page}`)
  const examples = readdirSync(join(ROOT, 'examples'), { recursive: true, withFileTypes: true })
  for (const file of examples.filter(entry => entry.isFile())) {
    wanted.push(relative(ROOT, join(file.parentPath, file.name)))
  }
  t.strictSame(
    wanted.filter(path => !paths.has(path)),
    [],
  )
  const other =
    /^(dist\/(?!cache\/)|docs\/|examples\/)|^[\w.-]+$|^scripts\/debian\/memslab\.(conf|service|sysusers)$/
  t.strictSame(
    [...paths].filter(path => !other.test(path)),
    [],
  )
})

t.test('the entries of the package', async t => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const built = Object.values(
    exports as Record<string, string | { types: string; default: string }>,
  )
    .flatMap(entry => (typeof entry === 'string' ? [] : [entry]))
    .map(entry => entry.default.replace('./dist/lib/', '').replace('.js', ''))
  t.strictSame(built.sort(), [...DOORS].sort())
  const root = await import('../lib/index.ts')
  t.strictSame(Object.keys(root).sort(), [
    'CacheError',
    'DEFAULTS',
    'LocalCache',
    'ValueFlags',
    'checkOptions',
    'decodeValue',
    'encodeValue',
    'isRefusal',
    'json',
    'serve',
    'startDaemon',
    'structured',
  ])
  const { Cache, verify } = await import('../lib/engine/index.ts')
  t.ok(Cache && verify, 'the engine has a door of its own')
})

t.test('what the daemon imports is installed with it', async t => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const missing = new Set<string>()
  for (const name of readdirSync(join(COMPILED, 'lib'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.js')) continue
    const text = readFileSync(join(COMPILED, 'lib', name), 'utf8')
    for (const [, target] of text.matchAll(
      /^(?:import (?:.*? from )?|export .*? from |} from )["']([^"'.][^"']*)["']/gm,
    )) {
      const [first, second] = target.split('/')
      const module = first.startsWith('@') ? `${first}/${second}` : first
      if (!module.startsWith('node:') && dependencies[module] === undefined)
        missing.add(`${name}: ${module}`)
    }
  }
  t.strictSame([...missing], [])
})

t.test('declarations for older compilers, and sources for debuggers', async t => {
  const folder = COMPILED
  const seen = new Set<string>()
  const follow = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    const text = readFileSync(path, 'utf8')
    const name = relative(folder, path)
    const [bytes] = GENERIC_BYTES.exec(text) ?? []
    if (bytes !== undefined) t.fail(`${name} has ${bytes}...>: name the type without arguments`)
    if (/'node:ffi'/.test(text.replace(/\/\*.*?\*\//gs, '')))
      t.fail(`${name} needs the types of node:ffi`)
    for (const [, target] of text.matchAll(/(?:from|import)\s*\(?'(\.[^']+)\.ts'/g)) {
      follow(join(dirname(path), `${target}.d.ts`))
    }
  }
  for (const door of DOORS) follow(join(folder, 'lib', `${door}.d.ts`))
  t.ok(seen.size > 30, `${seen.size} declarations`)
  const { sources, sourcesContent } = mapOf('lib/index.js')
  const index = sources.indexOf('lib/local/local-cache.ts')
  t.equal(sourcesContent[index], readFileSync(join(ROOT, 'lib/local/local-cache.ts'), 'utf8'))
})

/** The source map of a file of the package; its sources as paths below the project. */
function mapOf(file: string): { sources: string[]; sourcesContent: string[] } {
  const { sources, sourcesContent } = JSON.parse(
    readFileSync(join(COMPILED, `${file}.map`), 'utf8'),
  )
  const folder = dirname(join(COMPILED, file))
  const places = sources.map((source: string) => relative(ROOT, join(folder, source)))
  return { sources: places, sourcesContent }
}

t.test('@memslab/client: its files, dependencies and size', async t => {
  const { files, packages, bytes, loadedBytes } = clientPackage(COMPILED)
  t.strictSame(packages, ['memjs'])
  const foreign = /^lib\/(?!(adapters|bytes|client|doors|etcd|strategies)\/|[\w-]+\.)/
  const sources = files.flatMap(file => (file.endsWith('.js') ? mapOf(file).sources : [file]))
  t.strictSame(
    sources.filter(file => foreign.test(file) || file.startsWith('lib/node-version')),
    [],
    'nothing of the daemon',
  )
  const names = Object.keys(CLIENT_ENTRIES).map(name => CLIENT_ENTRIES[name].slice(2))
  t.strictSame(names.map(name => name.replace(/^(client|strategies)$/, '$1/index')).sort(), [
    ...CLIENT_DOORS.sort(),
  ])
  const page = readFileSync(join(ROOT, 'docs/pool.md'), 'utf8').replaceAll('\n', ' ')
  const [, all, loaded] = CLIENT_BYTES_NAMED.exec(page) ?? []
  const isNear = (named: string, bytes: number) =>
    Math.abs(Number(named) / (bytes / 1000) - 1) < 0.2
  t.ok(
    isNear(all, bytes) && isNear(loaded, loadedBytes),
    `${bytes} and ${loadedBytes}: docs/pool.md`,
  )
  const folder = t.testdir()
  writeClientPackage(COMPILED, folder)
  const written = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  t.match(written, { name: '@memslab/client', dependencies: { memjs: /^\^/ } })
  for (const { types, default: script } of Object.values(written.exports) as Entry[]) {
    if (script !== undefined)
      t.ok(existsSync(join(folder, types)) && existsSync(join(folder, script)))
  }
})

t.test('an old Node gets one line with the needed version', async t => {
  const folder = t.testdir()
  for (const [i, version] of OLD_NODES.entries()) {
    const versions = `{ value: { ...process.versions, node: '${version}' } }`
    const before = join(folder, `before-${i}.mjs`)
    writeFileSync(before, `Object.defineProperty(process, 'versions', ${versions})`)
    for (const door of DOORS) {
      const path = join(folder, `${door.replace('/', '-')}-${i}.mjs`)
      const door_ = join(ROOT, 'lib', `${door}.ts`)
      writeFileSync(
        path,
        `import '${before}'\nawait import('${door_}').catch(e => console.log(e.stack))`,
      )
      const { output } = await runExample(path)
      const isRefused = version.startsWith('18') || !CLIENT_DOORS.includes(door)
      const needed = CLIENT_DOORS.includes(door) ? '22 or later' : '26.6 .*'
      const line = `^memslab needs Node.js ${needed}; this is ${version}\n$`
      t.match(output, new RegExp(isRefused ? line : '^$'), `${door}, ${version}`)
    }
  }
})

t.test('everything that an old Node loads also links', async t => {
  // Names that Node 18 lacks, in the modules that the entries import.
  const late = {
    'node:util': ['getSystemErrorMessage'],
    'node:zlib': ['crc32'],
    'node:crypto': ['hash'],
    'node:module': ['enableCompileCache', 'flushCompileCache', 'registerHooks'],
  }
  const seen = new Set<string>()
  const follow = (path: string) => {
    if (seen.has(path) || !existsSync(path)) return
    seen.add(path)
    const text = readFileSync(path, 'utf8')
    for (const [, names, target] of text.matchAll(/^import (?!type)(.*?) from '([^']+)'$/gms)) {
      const missing = late[target as keyof typeof late] ?? []
      for (const name of missing.filter(name => new RegExp(`[{ ,]${name}[ ,}]`).test(names))) {
        t.fail(`${relative(ROOT, path)} imports ${name} by name`)
      }
    }
    for (const [, target] of text.matchAll(/^(?:im|ex)port (?!type)[^;]*?from '(\.[^']+)'$/gms)) {
      follow(join(dirname(path), target))
    }
  }
  for (const door of DOORS) follow(join(ROOT, 'lib', `${door}.ts`))
  t.ok(seen.size > 50, `${seen.size} files`)
})

t.test('the examples run', async t => {
  const folder = t.testdir()
  const port = await freePort()
  const printed: Record<string, RegExp> = {
    'threads.js': /says hello\n(.|\n)*counted 4000\n$/,
    'cache-aside.js': /^500 answers, 1 query\n$/,
    'prometheus.js':
      /^cache_reads_total{outcome="miss"} 1\ncache_calls_total{call="getMany",outcome="hit"} \d+\n$/,
    'opentelemetry.js':
      /^cache.call.duration: store done 1, getMany hit 1\ncache.keys: true 1, false 3\n$/,
    'token-issuer.js': /^(?=(.|\n)*^token issuer ed25519:)(?=(.|\n)*^[\w-]+\.[\w-]+\.[\w-]+$)/m,
    'daemon-and-pool.js': /^in process: the network\nover the network: a thread\n$/,
  }
  const files = readdirSync(join(ROOT, 'examples')).filter(name => name.endsWith('.js'))
  t.strictSame(files.sort(), Object.keys(printed).sort())
  for (const file of files) {
    const path = join(folder, file.replace('.js', '.mjs'))
    writeFileSync(path, withSources(readFileSync(join(ROOT, 'examples', file), 'utf8')))
    const { code, output } = await runExample(path, [`PORT=${port}`])
    t.equal(code, 0, file)
    t.match(output, printed[file])
  }
})
