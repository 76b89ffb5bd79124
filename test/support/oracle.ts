/**
 * The peers that the compatibility tests need: the real memcached, which is the oracle, and client
 * programs. A user may lack them: then a test skips and says why. With MEMSLAB_PEERS=required
 * (CI) a missing peer is a failure instead. MEMSLAB_ORACLE names another memcached than the one in
 * the path: with 1.6.45 the tests ask for all that memslab follows it in.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Owner, type ServerProcess, startMemcached, startServerOn } from './process.ts'
import { startUnixServer, type UnixServer } from './unix.ts'

export const PYTHON = '/usr/bin/python3'
const EXTRA_FOLDERS = ['/usr/bin', '/usr/local/bin', '/usr/sbin']

/** For a test's `skip` option: false if all these programs are installed, else the reason. */
export function skipWithout(...programs: string[]): string | false {
  const missing = programs.filter(program => findProgram(program) === undefined)
  return missing.length === 0 ? false : lacking(missing.join(', '))
}

/** The same for modules of the system's Python. */
export function skipWithoutPython(module: string): string | false {
  return skipUnlessRuns(PYTHON, ['-c', `import ${module}`], module)
}

export function skipWithoutPhp(module: string): string | false {
  const code = `exit(extension_loaded('${module}') ? 0 : 1);`
  return skipUnlessRuns(findProgram('php') ?? 'php', ['-r', code], module)
}

export function skipWithoutRuby(gem: string): string | false {
  return skipUnlessRuns(findProgram('ruby') ?? 'ruby', ['-e', `require '${gem}'`], gem)
}

function skipUnlessRuns(program: string, args: string[], module: string): string | false {
  const ran = spawnSync(program, args, { timeout: 20_000 })
  return ran.status === 0 ? false : lacking(`${program} with ${module}`)
}

export function findProgram(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...EXTRA_FOLDERS]
  return folders.map(folder => join(folder, program)).find(isExecutable)
}

export function startOracle(owner: Owner, args: string[] = []): Promise<ServerProcess> {
  // SIGKILL: on SIGTERM it takes a second to exit, and it has nothing to save.
  return startMemcached(owner, oracleProgram(), [...asUser(), ...args], 'SIGKILL')
}

/** Starts it again on the port of one that was killed. */
export function startOracleOn(
  owner: Owner,
  port: number,
  args: string[] = [],
): Promise<ServerProcess> {
  return startServerOn(owner, oracleProgram(), [...asUser(), ...args], port)
}

/** The same on a UNIX socket. */
export function startUnixOracle(owner: Owner): Promise<UnixServer> {
  return startUnixServer(owner, [oracleProgram(), ...asUser()])
}

/** Whether the oracle is the release that memslab follows: with it nothing needs a translation. */
export function isOracleNewer(): boolean {
  const command = process.env.MEMSLAB_ORACLE ?? findProgram('memcached')
  if (command === undefined) return false
  const told = spawnSync(command, ['-V'], { encoding: 'latin1', timeout: 20_000 }).stdout
  const [, major, minor, patch] = /(\d+)\.(\d+)\.(\d+)/.exec(told) ?? []
  return Number(major) * 10_000 + Number(minor) * 100 + Number(patch) >= 10_645
}

function oracleProgram(): string {
  const command = process.env.MEMSLAB_ORACLE ?? findProgram('memcached')
  if (command === undefined) throw new Error('memcached is not here: ask skipWithout first')
  return command
}

function asUser(): string[] {
  return process.getuid?.() === 0 ? ['-u', 'nobody'] : []
}

function lacking(what: string): string {
  const reason = `not installed: ${what}`
  if (process.env.MEMSLAB_PEERS === 'required') throw new Error(reason)
  return reason
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
