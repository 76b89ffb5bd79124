// The listener of a UNIX socket and its file. The path may be in use: a daemon that answers there
// keeps it, a socket that nobody answers is replaced, and a file that is not a socket stays. At the
// end a daemon removes only the file that it created.

import { linkSync, lstatSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { constants } from 'node:os'
import { dirname, join, resolve as resolvePath } from 'node:path'
import type { Options } from '../../options/options.ts'
import type { Inheritance, Listener } from './address.ts'
import { listening } from './listening.ts'
import { passing } from './passing.ts'

/** Longest path, without the NUL after it. */
const PATH_BYTES_MAX = 107

/** Files that this process created: path -> device, inode and time. */
const made = new Map<string, string>()

/** Binds the path of the options. Rejects with a system error that has the true reason. */
export async function listenUnix(
  path: string,
  { backlog, unixMask, protocol }: Options,
  server: Server,
  heritage: Inheritance | undefined,
): Promise<Listener> {
  // The runtime removes the file at the end by the given name, and the current folder may have
  // changed.
  const whole = resolvePath(path)
  const passed = heritage?.takeListener('unix', whole, 0)
  let isRemoved = false
  try {
    if (passed === undefined) isRemoved = await bindAt(whole, server, { backlog, unixMask, path })
  } catch (error) {
    made.delete(whole)
    throw Object.assign(reasonFor(whole, error), { place: `UNIX socket: ${path}` })
  }
  const passes = passing(server, { kind: 'unix', address: whole, port: 0 }, passed, backlog)
  const closeOnly = () => (isRemoved ? keepingFile(whole, passes.close) : passes.close())
  const facts = { address: `unix:${path}`, state: 'conn_listening', protocol, peerCheck: null }
  return {
    facts,
    bound: undefined,
    ...passes,
    start: async () => {
      await passes.start()
      if (passed !== undefined) made.set(whole, identityOf(whole))
    },
    leave: () => {
      made.delete(whole)
      void closeOnly()
    },
    close: async () => {
      const isOurs = made.get(whole) === identityOf(whole)
      made.delete(whole)
      if (isOurs) unlinkSync(whole)
      await (isOurs ? passes.close() : closeOnly())
    },
  }
}

/**
 * The runtime removes the file by the name that it was bound to. So the socket is bound to another
 * name first, and then gets its own: the process that goes on with it keeps the file. Resolves to
 * whether that was not possible, so that the runtime removes the file.
 */
async function bindAt(
  whole: string,
  server: Server,
  { backlog, unixMask, path }: Pick<Options, 'backlog' | 'unixMask'> & { path: string },
): Promise<boolean> {
  if (await isAnswered(whole)) throw systemError('EADDRINUSE')
  const beside = join(dirname(whole), `.${process.pid.toString(36)}`)
  const hasRoom = Buffer.byteLength(beside) <= PATH_BYTES_MAX && canBeNamed(whole)
  const name = Buffer.byteLength(whole) <= PATH_BYTES_MAX ? whole : path
  await listening(server, () => {
    // The file gets its mode when it is created, so that nobody connects before that.
    const before = process.umask(~unixMask & 0o777)
    server.listen({ path: hasRoom ? beside : name, backlog })
    process.umask(before)
    if (!server.listening) return
    if (hasRoom) renameSync(beside, whole)
    // Recorded now, because the path may later be another daemon's.
    made.set(whole, identityOf(whole))
  })
  return !hasRoom
}

/** Nothing is there, so nothing would be replaced, and its length is one that clients can name. */
function canBeNamed(whole: string): boolean {
  const isFree = lstatSync(whole, { throwIfNoEntry: false }) === undefined
  return isFree && Buffer.byteLength(whole) <= PATH_BYTES_MAX
}

/** Removes the sockets that this process created and did not close. */
export function removeOwnSockets(): void {
  for (const [path, identity] of made) {
    try {
      if (identityOf(path) === identity) unlinkSync(path)
    } catch {
      // This user has no right to remove it.
    }
  }
}

/** Whether somebody answers at this path. A socket that nobody answers is removed. */
async function isAnswered(path: string): Promise<boolean> {
  if (!isSocket(path)) return false
  const code = await new Promise<string | undefined>(settle => {
    const probe = connect(path, () => settle(undefined))
    probe.on('error', (error: NodeJS.ErrnoException) => settle(error.code))
    probe.once('connect', () => probe.destroy())
  })
  if (code === 'ECONNREFUSED') unlinkSync(path)
  // EAGAIN: its backlog is full.
  return code === undefined || code === 'EAGAIN'
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false
}

// A new file may get the inode of one that was just removed, but not its time.
function identityOf(path: string): string {
  const facts = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return facts === undefined ? '' : `${facts.dev}:${facts.ino}:${facts.mtimeNs}`
}

// The runtime removes whatever is at the path when it closes a server.
async function keepingFile(path: string, close: () => Promise<void>): Promise<void> {
  const beside = `${path}.${process.pid}`
  try {
    linkSync(path, beside)
  } catch {
    return close() // there is no file, or none that this user may keep
  }
  await close()
  renameSync(beside, path)
}

/** libuv says EACCES for a folder that does not exist. */
function reasonFor(path: string, error: unknown): Error {
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return systemError('ENAMETOOLONG')
  try {
    statSync(dirname(path))
  } catch (folderError) {
    return Object.assign(folderError as Error, { syscall: 'bind' })
  }
  return error as Error
}

function systemError(code: 'EADDRINUSE' | 'ENAMETOOLONG'): Error {
  return Object.assign(new Error(code), { code, errno: -constants.errno[code], syscall: 'bind' })
}
