// The password files, read by the main thread: once at the start, where a file that cannot be used
// is a reason not to start, and again on request, where it leaves the users known so far in place.
// Whose file it is: text connections have that of -Y, SASL its own or, if there is none, that one too.

import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { AUTH_FILE_BYTES_MAX, AUTH_USERS_MAX } from '../limits.ts'
import { Credentials, type FileFault, type FileForm } from '../protocol/credentials.ts'
import { EXIT_FAILURE, type Options } from './options.ts'
import { reasonOf } from './reason.ts'

/** What workers need to check claims. Fit for postMessage. */
export interface AuthHandle {
  text: SharedArrayBuffer | null
  sasl: SharedArrayBuffer | null
}

interface Door {
  path: string
  form: FileForm
  credentials: Credentials
}

export class AuthFiles {
  readonly handle: AuthHandle
  private readonly doors: Door[] = []

  /** Reads the files; throws an Error of one line, with an exit code. */
  constructor({ authFile, sasl, saslFile }: Options) {
    const text = authFile === undefined ? null : this.open(authFile, 'plain')
    this.handle = { text, sasl: sasl ? this.openForSasl(saslFile, text) : null }
  }

  /** Reads the files again; what went wrong, a line each. */
  reload(): string[] {
    return this.doors.map(door => fill(door)).filter(fault => fault !== null)
  }

  /** What an operator may want to mend. */
  warnings(): string[] {
    const open = this.doors.filter(({ path }) => (statSync(path).mode & constants.S_IROTH) !== 0)
    return open.map(({ path }) => `Authfile [${path}] can be read by every user of this machine`)
  }

  private openForSasl(path: string | undefined, text: SharedArrayBuffer | null) {
    if (path !== undefined) return this.open(path, 'tokens')
    if (text !== null) return text
    throw startError('-S needs a password file: MEMCACHED_SASL_PWDB, -o sasl_pwdb= or -Y')
  }

  private open(path: string, form: FileForm): SharedArrayBuffer {
    const door = { path, form, credentials: Credentials.create() }
    const fault = fill(door)
    if (fault !== null) throw startError(fault)
    this.doors.push(door)
    return door.credentials.buffer
  }
}

/** Puts the users of the file behind a door; what is wrong with it, else null. */
function fill({ path, form, credentials }: Door): string | null {
  let bytes: Buffer
  try {
    bytes = readWhole(path)
  } catch (error) {
    return `Could not open authfile [${path}] for reading, error ${reasonOf(error)}`
  }
  const fault = credentials.replace(bytes, form)
  bytes.fill(0)
  return fault === null ? null : faultText(path, fault)
}

/** In one buffer that is nobody else's, so that it can be wiped. */
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

function faultText(path: string, fault: FileFault): string {
  return fault === 'malformed'
    ? `Authfile [${path}] has a malformed entry. Should be 'user:password'`
    : `Authfile [${path}] has more than ${AUTH_USERS_MAX} users`
}

function startError(line: string): Error {
  return Object.assign(new Error(line), { exitCode: EXIT_FAILURE })
}
