// `memslab scale --config FILE`: a pool that grows and shrinks with its load. Runs until SIGTERM or
// SIGINT; the nodes go on without it.

import { readFileSync } from 'node:fs'
import { printable } from '../../bytes/printable.ts'
import { EX_USAGE, failed, Misused, readArguments, runCommand } from '../command-line.ts'
import type { Access } from '../servers/stats-link.ts'
import { ConfigFaults, readConfig } from './config/file.ts'
import type { Config } from './config/schema.ts'
import { listenMetrics } from './metrics.ts'
import { partsOf } from './parts.ts'
import { Scaler } from './scaler.ts'

/** Looks without which /healthz says that it stands still. */
const STILL_LOOKS = 20
const STILL_MS_MIN = 60_000

const USAGE = `usage: memslab scale --config FILE
scales a pool by its load: looks at its nodes, starts new ones, drains and ends others
  --config <file>  what to keep to, YAML or JSON (docs/scaling.md)
  --dry-run        say what it would do, and do nothing
  --check          check the file and exit: 0 if it can be used, 64 if not`

/** Returns the exit code. */
export function runScale(words: readonly string[]): Promise<number> {
  process.stderr.on('error', () => {})
  return runCommand(USAGE, words, async () => {
    const parsed = await readArguments(words, {
      config: { type: 'string', requiresArg: true },
      'dry-run': { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
    })
    const path = parsed.text('config')
    if (path === undefined || parsed.words.length > 0) throw new Misused()
    try {
      const config = readConfig(path)
      const access = accessOf(config)
      if (parsed.flag('check')) {
        process.stdout.write(`${path}: it can be used\n`)
        return 0
      }
      return await scale(config, access, parsed.flag('dry-run'))
    } catch (error) {
      if (!(error instanceof ConfigFaults) && !(error instanceof RangeError)) {
        return failed('scale', error)
      }
      const lines = error instanceof ConfigFaults ? error.lines : [`${path}: ${error.message}`]
      process.stderr.write(lines.map(line => `memslab scale: ${line}\n`).join(''))
      return EX_USAGE
    }
  })
}

async function scale(config: Config, access: Access, isDry: boolean): Promise<number> {
  const stop = new AbortController()
  const onSignal = () => stop.abort(new Error('stopped'))
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, onSignal)
  const [, script = ''] = process.argv
  const parts = partsOf(config, {
    access,
    program: [process.execPath, ...process.execArgv, script],
    isDry,
    tell: line => process.stderr.write(`${new Date().toISOString()} ${printable(line)}\n`),
  })
  const scaler = new Scaler(config, parts, isDry)
  const stillMs = Math.max(STILL_MS_MIN, STILL_LOOKS * config.every)
  const isAlive = () => {
    const { isActing, lookedAtMs } = scaler.tally
    return !isActing || lookedAtMs === 0 || Date.now() - lookedAtMs < stillMs
  }
  try {
    const { listen } = config
    const listening =
      listen === undefined ? null : await listenMetrics(listen, scaler.tally, isAlive)
    if (listening !== null) parts.tell(`metrics on http://${listening.place}/metrics`)
    await scaler.run(stop.signal)
    await listening?.close()
    parts.tell('stopped; the nodes go on')
    return 0
  } finally {
    await parts.seat.close()
    parts.watch.close()
  }
}

function accessOf({ access }: Config): Access {
  const { login, tls, ca } = access
  return {
    login: login === undefined ? undefined : read('login', login).split(/\r?\n/)[0],
    ca: ca === undefined ? (tls ? '' : undefined) : read('ca', ca),
  }
}

function read(field: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ConfigFaults([`access.${field} ${path}: it cannot be read: ${code}`])
  }
}
