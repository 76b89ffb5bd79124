/**
 * The server under test. MEMSLAB_COMMAND puts another one in its place (its words are separated by
 * spaces and get the same -p, -l and further arguments): with the oracle's own command line the
 * compatibility tests test themselves.
 */
import { fileURLToPath } from 'node:url'
import { type Owner, type ServerProcess, startMemcached, startServerOn } from './process.ts'
import { startUnixServer, type UnixServer } from './unix.ts'

export const ENTRY = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))

/** Two threads meet as four do, and start in half of the CPU time. */
const THREADS = ['-t', '2']

export function startDaemon(owner: Owner, args: string[] = []): Promise<ServerProcess> {
  const [command, ...first] = commandWords()
  return startMemcached(owner, command, [...first, ...withThreads(args)])
}

/** The arguments with a number of threads, unless they have one. */
export function withThreads(args: string[]): string[] {
  return args.includes('-t') ? args : [...THREADS, ...args]
}

/** Starts it again on the port of one that was killed. */
export function startDaemonOn(
  owner: Owner,
  port: number,
  args: string[] = [],
): Promise<ServerProcess> {
  const [command, ...first] = commandWords()
  return startServerOn(owner, command, [...first, ...withThreads(args)], port)
}

/** The same on a UNIX socket. */
export function startUnixDaemon(owner: Owner, args: string[] = []): Promise<UnixServer> {
  return startUnixServer(owner, commandWords(), withThreads(args))
}

function commandWords(): string[] {
  const words = (process.env.MEMSLAB_COMMAND ?? '').split(' ').filter(word => word !== '')
  return words.length > 0 ? words : [process.execPath, ENTRY]
}
