/**
 * Servers that listen on a UNIX socket, in a folder of their own: its path is short, since a socket's
 * path is, and it goes away with the test.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Owner, type ServerProcess, startServerAt } from './process.ts'

/** A folder that a daemon may use that is not root any more. */
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
