// Node's permission model (--permission): what it must allow for this command line. Asked before
// anything is tried, because a forbidden call fails in the middle of the runtime, and some with the
// words of another fault.

import { EXIT_OS_ERROR, type Options, type Refusal } from '../options/options.ts'

/** The types of Node do not know all scopes. */
interface Permission {
  has(scope: string): boolean
}

/** The flags that are missing, if any. */
export function refuseForbidden({ user, daemonize }: Options): Refusal | undefined {
  const { permission } = process as { permission?: Permission }
  if (permission === undefined) return undefined
  const isRoot = process.getuid?.() === 0
  const needs: [scope: string, flag: string, isNeeded: boolean][] = [
    ['worker', '--allow-worker', true],
    ['net', '--allow-net', true],
    ['child', '--allow-child-process', daemonize || (isRoot && user !== undefined)],
  ]
  const missing = needs.filter(([scope, , isNeeded]) => isNeeded && !permission.has(scope))
  if (missing.length === 0) return undefined
  const flags = missing.map(([, flag]) => flag).join(' ')
  const line = `--permission forbids what these options need: ${flags}`
  return { line, exitCode: EXIT_OS_ERROR }
}
