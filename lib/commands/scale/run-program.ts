// Runs a program of the operator's, or a daemon's start, with a bound on time and output.

import { execFile } from 'node:child_process'
import { COMMAND_OUTPUT_BYTES_MAX } from './limits.ts'

export interface Run {
  words: readonly string[]
  /** Beside this process's own. */
  env: Readonly<Record<string, string>>
  timeoutMs: number
  signal: AbortSignal
}

/** What it printed on stdout. Rejects with an Error of one line: its last one on stderr. */
export async function execute({ words, env, timeoutMs, signal }: Run): Promise<string> {
  const [file = '', ...args] = words
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const options = {
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    // It may not hear the others.
    killSignal: 'SIGKILL' as const,
    maxBuffer: COMMAND_OUTPUT_BYTES_MAX,
    signal,
  }
  execFile(file, args, options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout)
    else reject(new Error(`${file}: ${reasonOf(error, stderr, timeoutMs)}`))
  })
  return promise
}

interface Failure extends Error {
  code?: string | number | null
  killed?: boolean
  signal?: string | null
}

function reasonOf(error: Failure, stderr: string, timeoutMs: number): string {
  if (error.name === 'AbortError') return 'stopped'
  if (error.killed === true && error.code === null) return `it ran longer than ${timeoutMs} ms`
  const told = stderr.trimEnd().split('\n').at(-1)?.trim()
  const how = error.signal ? `killed by ${error.signal}` : `exit code ${error.code}`
  if (typeof error.code === 'string') return error.code
  return told ? `${how}: ${told}` : how
}
