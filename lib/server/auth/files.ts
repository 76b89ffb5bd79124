// The password files, read by the main thread. At the start a file that cannot be used is an error;
// when they are read again on request, such a file leaves the known users in place. Text
// connections use the file of -Y. SASL uses its own or, without one, that of -Y.
//
// memcached reads SASL's file for every claim. Here it is checked regularly, and read again when it
// has changed. The file of -Y is read again only on request, as in memcached.

import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { EXIT_FAILURE, type Options } from '../../options/options.ts'
import { Credentials, type FileFault, type FileForm } from '../../protocol/auth/credentials.ts'
import { AUTH_FILE_BYTES_MAX, AUTH_USERS_MAX } from '../../protocol/limits.ts'
import { reasonOf } from '../system/reason.ts'

/** How often SASL's file is checked for a change. */
const AUTH_WATCH_MS = 2000

/** What workers need to check claims. Fit for postMessage. */
export interface AuthHandle {
  text: SharedArrayBuffer | null
  sasl: SharedArrayBuffer | null
}

interface Door {
  /** The name as given, and its absolute path: the process may change its folder. */
  name: string
  path: string
  form: FileForm
  credentials: Credentials
  /** Identifies the file and its content when it was last read. */
  stamp: string
}

export class AuthFiles {
  /** Null: peers need not log in. */
  readonly handle: AuthHandle | null
  /** The users of the admin listener; null: everybody may see it. */
  readonly admin: SharedArrayBuffer | null
  private readonly doors: Door[] = []
  private readonly tell: (line: string) => void
  private timer: NodeJS.Timeout | undefined

  /** Reads the files. Throws an Error of one line, with an exitCode; later faults go to `tell`. */
  constructor(options: Options, tell: (line: string) => void) {
    const { authFile, sasl, saslFile, adminAuthFile } = options
    this.tell = tell
    const text = authFile === undefined ? null : this.open(authFile, 'plain')
    const forSasl = sasl ? this.openForSasl(saslFile, text) : null
    this.handle = text === null && forSasl === null ? null : { text, sasl: forSasl }
    this.admin = adminAuthFile === undefined ? null : this.open(adminAuthFile, 'plain')
  }

  /** Reads the files again. */
  reload(): void {
    for (const door of this.doors) this.refill(door)
  }

  /** Checks SASL's file for changes from now on. */
  watch(): void {
    const doors = this.doors.filter(({ form }) => form === 'tokens')
    if (doors.length === 0) return
    this.timer = setInterval(() => {
      for (const door of doors) if (stampOf(door.path) !== door.stamp) this.refill(door)
    }, AUTH_WATCH_MS).unref()
  }

  close(): void {
    clearInterval(this.timer)
  }

  /** Warns of files that every user can read. */
  warn(): void {
    for (const { name, path } of this.doors) {
      if ((statSync(path).mode & constants.S_IROTH) === 0) continue
      this.tell(`Authfile [${name}] can be read by every user of this machine`)
    }
  }

  private refill(door: Door): void {
    const fault = fill(door)
    if (fault !== null) this.tell(fault)
  }

  private openForSasl(path: string | undefined, text: SharedArrayBuffer | null) {
    if (path !== undefined) return this.open(path, 'tokens')
    if (text !== null) return text
    throw startError('-S needs a password file: MEMCACHED_SASL_PWDB, -o sasl_pwdb= or -Y')
  }

  private open(name: string, form: FileForm): SharedArrayBuffer {
    const credentials = Credentials.create()
    // An empty name would resolve to the current folder.
    const path = name === '' ? name : resolve(name)
    const door: Door = { name, path, form, credentials, stamp: '' }
    const fault = fill(door)
    if (fault !== null) throw startError(fault)
    this.doors.push(door)
    return credentials.buffer
  }
}

/** Replaces the users by those of the file. Returns what is wrong with it, or null. */
function fill(door: Door): string | null {
  const { name, path, form, credentials } = door
  // Taken before it is read: a change meanwhile is noticed later.
  door.stamp = stampOf(path)
  let bytes: Buffer
  try {
    bytes = readWhole(path)
  } catch (error) {
    return `Could not open authfile [${name}] for reading, error ${reasonOf(error)}`
  }
  const fault = credentials.replace(bytes, form)
  bytes.fill(0)
  return fault === null ? null : faultText(name, fault)
}

/** Differs for another file, and for another content. */
function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs}`
  } catch (error) {
    return reasonOf(error)
  }
}

/** Reads the file into its own buffer, so that it can be wiped. */
function readWhole(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (size > AUTH_FILE_BYTES_MAX) throw new Error(`larger than ${AUTH_FILE_BYTES_MAX} bytes`)
    const bytes = Buffer.alloc(size)
    return bytes.subarray(0, readSync(file, bytes, 0, size, 0))
  } finally {
    closeSync(file)
  }
}

function faultText(name: string, fault: FileFault): string {
  return fault === 'malformed'
    ? `Authfile [${name}] has a malformed entry. Should be 'user:password'`
    : `Authfile [${name}] has more than ${AUTH_USERS_MAX} users`
}

function startError(line: string): Error {
  return Object.assign(new Error(line), { exitCode: EXIT_FAILURE })
}
