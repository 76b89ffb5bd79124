/**
 * Servers that listen on a UNIX socket in their own folder. Its path is short, because socket paths
 * must be, and it is removed with the test.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Owner, type ServerProcess, startServerAt } from './process.ts'

/** A folder that a daemon may use after it has given up root. */
export function shortFolder(owner: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), 'memslab-'))
  chmodSync(folder, 0o777)
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface UnixServer extends ServerProcess {
  readonly path: string
}

/** Starts `command` with -s and a path, and the arguments. */
export async function startUnixServer(
  owner: Owner,
  [command = '', ...first]: string[],
  args: string[] = [],
): Promise<UnixServer> {
  const path = join(shortFolder(owner), 's')
  const server = await startServerAt(owner, command, [...first, '-s', path, ...args], path)
  return { ...server, path }
}
