/**
 * The server under test for clients with time-outs of their own: it is handed over once each of its
 * threads has answered, however busy the machine is.
 */
import { createAuthority } from './certificates.ts'
import { startDaemon, startUnixDaemon } from './daemon.ts'
import { skipWithout } from './oracle.ts'
import type { Owner, ServerProcess } from './process.ts'
import { askOnce, comesTrue, type Place } from './server-peer.ts'
import { startTlsDaemon } from './tls-peer.ts'
import type { UnixServer } from './unix.ts'

const THREADS = ['-t', '2'] // enough for threads to meet, and started quickly
const PEERS = 8
const START_MS_MAX = 60_000

export async function startServing(owner: Owner, args: string[] = []): Promise<ServerProcess> {
  const server = await startDaemon(owner, [...THREADS, ...args])
  await awaitAnswers(server.port)
  return server
}

/** The same on a UNIX socket. */
export async function startServingUnix(owner: Owner): Promise<UnixServer> {
  const server = await startUnixDaemon(owner, THREADS)
  await awaitAnswers(server.path)
  return server
}

/** For a test's `skip` option: Debian's memcached, used in place of memslab, has no TLS. */
export function skipWithoutTls(): string | false {
  return process.env.MEMSLAB_COMMAND === undefined ? skipWithout('openssl') : 'not in a stand-in'
}

/** The same over TLS, and the authority that signed its certificate. */
export async function startServingTls(owner: Owner): Promise<{ port: number; ca: string }> {
  const authority = createAuthority(owner, 'authority')
  const server = await startTlsDaemon(owner, authority.sign('server'), [], THREADS)
  await awaitAnswers(server.port)
  return { port: server.tlsPort, ca: authority.ca }
}

async function awaitAnswers(place: Place): Promise<void> {
  const answers = () => askOnce(place, 'version\r\n', '\r\n').catch(() => '')
  const all = () => Promise.all(Array.from({ length: PEERS }, answers))
  const isServed = async () => (await all()).every(answer => answer.startsWith('VERSION'))
  if (!(await comesTrue(isServed, START_MS_MAX))) throw new Error('the server does not answer')
}
