/**
 * The examples of the docs: every ts block of a page is one program. It must print what the
 * comments after its console.log calls say, in order.
 */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Example {
  name: string
  text: string
  /** The lines that it prints. */
  printed: string[]
  /** False: its servers are the reader's, and it is compiled only. */
  isRun: boolean
}

export interface Ran {
  code: number
  output: string
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DOORS = {
  memslab: 'lib/index.ts',
  'memslab/client': 'lib/client/index.ts',
  'memslab/strategies': 'lib/strategies/index.ts',
  'memslab/adapters/undici': 'lib/adapters/undici.ts',
  'memslab/adapters/fastify-session': 'lib/adapters/fastify-session.ts',
}
const BLOCK = /^```ts( compiled)?\n(.*?)^```$/gms
const PRINTED = /console\.log\(.*\) \/\/ (.*)$/gm
const RUN_MS_MAX = 120_000

/** Replaces 11211 by `port` and imports of the package by imports of its sources. */
export function examplesOf(page: string, port: number): Example[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8')
  return [...text.matchAll(BLOCK)].map(([, compiled, block], i) => ({
    name: `${page.replace('.md', '')}-${i + 1}`,
    text: withSources(block).replaceAll('11211', String(port)),
    printed: [...block.matchAll(PRINTED)].map(([, line]) => line),
    isRun: compiled === undefined,
  }))
}

/** Writes examples into a folder of the project. Returns their paths. */
export function writeExamples(folder: string, examples: readonly Example[]): string[] {
  const config = { extends: join(ROOT, 'tsconfig.json'), include: ['*.ts'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  return examples.map(({ name, text }) => {
    const path = join(folder, `${name}.ts`)
    writeFileSync(path, text)
    return path
  })
}

export function runExample(path: string, env: readonly string[] = []): Promise<Ran> {
  return run([path], env)
}

/** The compiler's output for all examples in a folder. */
export function compileExamples(folder: string): Promise<Ran> {
  return run([join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder])
}

/** Imports of the package become imports of its sources. */
export function withSources(block: string): string {
  const from = (door: string) => `from '${door}'`
  return Object.entries(DOORS).reduce(
    (text, [door, path]) => text.replaceAll(from(door), from(join(ROOT, path))),
    block,
  )
}

function run(args: string[], env: readonly string[] = []): Promise<Ran> {
  return new Promise(resolve => {
    // Without what the test runner loads into each process.
    const line = ['-u', 'NODE_OPTIONS', ...env, process.execPath, ...args]
    const child = execFile('env', line, { timeout: RUN_MS_MAX }, (_, out, errors) => {
      resolve({ code: child.exitCode ?? -1, output: out + errors })
    })
  })
}
