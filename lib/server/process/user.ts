// -u: the user that the daemon becomes once it listens. That user may read fewer files, but must
// still be able to start threads. This is checked, because a daemon that cannot replace dead
// workers would lose one with each fault.

import { execFileSync } from 'node:child_process'
import { accessSync, chownSync, constants } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { EXIT_NO_USER } from '../../options/options.ts'
import { StartError } from '../system/start-error.ts'
import { ENTRY } from '../thread-pool.ts'

export interface Identity {
  user: string
  uid: number
  gid: number
}

/** Missing in Node's types. */
interface Posix {
  initgroups(user: string, gid: number): void
}

/** The user to become; undefined: no change. Only root can change. */
export function identityFor(user: string | undefined): Identity | undefined {
  if (user === undefined || process.getuid?.() !== 0) return undefined
  const [, uid, gid] = /^uid=(\d+)\S* gid=(\d+)/.exec(askForUser(user)) ?? []
  if (uid === undefined || /^\d+$/.test(user)) {
    throw new StartError(`can't find the user ${user} to switch to`, EXIT_NO_USER)
  }
  return { user, uid: Number(uid), gid: Number(gid) }
}

// The program `id` knows the users of every directory service of the system; Node has no such call.
function askForUser(user: string): string {
  try {
    return execFileSync('id', ['--', user], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return ''
    throw new StartError(`can't look up the user ${user}: there is no program "id"`)
  }
}

/** Becomes that user. memcached creates its UNIX socket afterwards; here its owner is changed. */
export function assume({ user, uid, gid }: Identity, unixSocket: string | undefined): void {
  // Resolved now, because that user may not be able to.
  const files = [ENTRY, import.meta.url, import.meta.resolve('piscina')].map(url =>
    fileURLToPath(url),
  )
  try {
    if (unixSocket !== undefined) chownSync(unixSocket, uid, gid)
    const { initgroups } = process as Partial<Posix>
    initgroups?.(user, gid)
    process.setgid?.(gid)
    process.setuid?.(uid)
  } catch {
    throw new StartError(`failed to assume identity of user ${user}`)
  }
  const hidden = files.find(file => !isReadable(file))
  if (hidden === undefined) return
  throw new StartError(`user ${user} cannot read ${hidden}: threads could not be replaced`)
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch {
    return false
  }
}
