// Node's permission model (--permission): what this command line needs. It is checked before
// anything is tried, because a forbidden call fails deep inside the runtime, sometimes with a
// misleading message.

import { EXIT_OS_ERROR, type Options, type Refusal } from '../../options/options.ts'

/** Node's types do not have all scopes. */
interface Permission {
  has(scope: string): boolean
}

/** The flags of Node that are missing. */
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
