/**
 * Sessions of client libraries in other languages. A session is a script that prints TAP: one named
 * line for each fact that it checked, and the plan last. Here every fact becomes an assertion of
 * its own. A session that breaks off, or checks fewer facts than it should, fails.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { findProgram, PYTHON } from './oracle.ts'

const RUN_MS_MAX = 60_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024
const FACT = /^(ok|not ok) \d+ - (.*)$/
const PLAN = /^1\.\.(\d+)$/

const INTERPRETERS: Readonly<Record<string, string>> = { py: PYTHON, php: 'php', rb: 'ruby' }

export interface Ran {
  /** -1: it was killed, or never started. */
  readonly code: number
  readonly out: string
}

/** Runs `script`, a path below test/clients, and asserts each fact it prints. */
export async function runSession(
  t: Test,
  script: string,
  args: readonly (string | number)[],
  factsMin: number,
): Promise<void> {
  const path = fileURLToPath(new URL(`../clients/${script}`, import.meta.url))
  const interpreter = INTERPRETERS[script.split('.').at(-1) ?? ''] ?? 'sh'
  const ran = await run(interpreter, [path, ...args.map(String)])
  const lines = ran.out.split('\n')
  const facts = lines.map(line => FACT.exec(line)).filter(match => match !== null)
  for (const [, outcome, name] of facts) t.equal(outcome, 'ok', name)
  const rest = lines.filter(line => !FACT.test(line) && !PLAN.test(line)).join('\n')
  t.equal(rest.trim(), '', 'it prints nothing but facts')
  const [, planned] = PLAN.exec(lines.findLast(line => PLAN.test(line)) ?? '') ?? []
  t.equal(Number(planned), facts.length, 'it came to its end')
  t.ok(facts.length >= factsMin, `${facts.length} facts, at least ${factsMin}`)
  t.equal(ran.code, 0, 'exit code')
}

export function run(program: string, args: readonly string[]): Promise<Ran> {
  const path = findProgram(program) ?? program
  // Otherwise Python leaves the compiled script beside it.
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' }
  const options = { timeout: RUN_MS_MAX, maxBuffer: OUTPUT_BYTES_MAX, env }
  return new Promise(resolve => {
    const child = execFile(path, args, options, (_, out, errors) => {
      resolve({ code: child.exitCode ?? -1, out: out + errors })
    })
  })
}

export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'memslab-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}
