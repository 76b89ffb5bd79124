// Names and passwords: parses a password file, and checks whether a claim is one of its users.
//
// For each user one digest is kept, over name and password together, with a random key of the
// process. The passwords are wiped once they are read. A claim is digested once and compared with
// the digests of all users, so that the time does not depend on the name.
//
// The digests are in shared memory: the main thread replaces them, and every thread sees it at
// once.
//
//   header  Int32 words: ACTIVE, the bank in use, 0 or 1
//   key     KEY_BYTES
//   banks   two, each: Int32 count, then AUTH_USERS_MAX digests of DIGEST_BYTES
//
// New users go into the other bank, then ACTIVE changes. A check that is overtaken by two changes
// meets at worst a partly written digest, which matches nobody.

import { randomFillSync, timingSafeEqual } from 'node:crypto'
import { type Claim, digestOfClaim } from '../../access/claim.ts'
import { AUTH_LINE_BYTES_MAX, AUTH_USERS_MAX } from '../limits.ts'

/**
 * The forms of a file, as memcached's two readers define them. plain (-Y): everything after the
 * first colon is the password, and a line without one is an error. tokens (SASL): more tokens may
 * follow the password, each after a colon. The first line of a user counts, other lines are
 * ignored.
 */
export type FileForm = 'plain' | 'tokens'

/** Why a file cannot be used. */
export type FileFault = 'malformed' | 'too many users'

const DIGEST_BYTES = 32
const KEY_BYTES = 32
const ACTIVE = 0
const KEY_AT = 64
const BANKS_AT = KEY_AT + KEY_BYTES
const COUNT_BYTES = 4
const BANK_BYTES = COUNT_BYTES + AUTH_USERS_MAX * DIGEST_BYTES

const NUL = 0
const LF = 10
const CR = 13
const COLON = 58

export class Credentials {
  readonly buffer: SharedArrayBuffer
  private readonly header: Int32Array
  private readonly bytes: Buffer
  private readonly view: DataView

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.header = new Int32Array(buffer, 0, 1)
    this.bytes = Buffer.from(buffer)
    this.view = new DataView(buffer)
  }

  /** Without users, with a new key. */
  static create(): Credentials {
    const credentials = new Credentials(new SharedArrayBuffer(BANKS_AT + 2 * BANK_BYTES))
    const key = randomFillSync(Buffer.alloc(KEY_BYTES))
    key.copy(credentials.bytes, KEY_AT)
    key.fill(0)
    return credentials
  }

  /** How many users there are. */
  get count(): number {
    return this.view.getInt32(this.bankAt(Atomics.load(this.header, ACTIVE)), true)
  }

  /** Whether there is a user with this name and password. */
  has(claim: Claim): boolean {
    const digest = this.digest(claim)
    const bank = this.bankAt(Atomics.load(this.header, ACTIVE))
    const end = this.digestAt(bank, this.view.getInt32(bank, true))
    let found = false
    for (let at = this.digestAt(bank, 0); at < end; at += DIGEST_BYTES) {
      if (timingSafeEqual(digest, this.bytes.subarray(at, at + DIGEST_BYTES))) found = true
    }
    return found
  }

  /** Replaces the users by those of a file. A file with a fault changes nothing. */
  replace(file: Buffer, form: FileForm): FileFault | null {
    const next = 1 - Atomics.load(this.header, ACTIVE)
    const bank = this.bankAt(next)
    let count = 0
    for (const entry of entriesOf(file, form)) {
      if (entry === null) return 'malformed'
      if (count === AUTH_USERS_MAX) return 'too many users'
      this.digest(entry).copy(this.bytes, this.digestAt(bank, count++))
    }
    this.view.setInt32(bank, count, true)
    Atomics.store(this.header, ACTIVE, next)
    return null
  }

  private digest(claim: Claim): Buffer {
    return digestOfClaim(this.bytes.subarray(KEY_AT, KEY_AT + KEY_BYTES), claim)
  }

  private bankAt(bank: number): number {
    return BANKS_AT + bank * BANK_BYTES
  }

  private digestAt(bankAt: number, index: number): number {
    return bankAt + COUNT_BYTES + index * DIGEST_BYTES
  }
}

/** The valid claims, line by line; null: an invalid line. */
function* entriesOf(file: Buffer, form: FileForm): Generator<Claim | null> {
  const names = new Set<string>()
  for (let start = 0, end = 0; start < file.length; start = end + 1) {
    end = endOf(file, start, LF, file.length)
    const userEnd = colonOf(file, start, end)
    if (form === 'plain') {
      const passwordEnd = endOf(file, userEnd + 1, CR, end)
      yield userEnd < 0 ? null : entry(file, start, userEnd, passwordEnd)
    } else if (userEnd >= 0 && isNew(names, file, start, userEnd)) {
      yield* tokenEntries(file, start, userEnd, endOf(file, userEnd, CR, end))
    }
  }
}

/** The password may contain colons: it ends at any of them, except at one that follows another. */
function* tokenEntries(file: Buffer, start: number, userEnd: number, end: number) {
  for (let stop = userEnd; stop < end; ) {
    stop = endOf(file, stop + 1, COLON, end)
    if (stop === userEnd + 1 || file[stop - 1] !== COLON) yield entry(file, start, userEnd, stop)
  }
}

function entry(bytes: Buffer, userStart: number, userEnd: number, passwordEnd: number): Claim {
  return { bytes, userStart, userEnd, passwordStart: userEnd + 1, passwordEnd }
}

/** End of the name in the line; -1 if the line has no name and password. */
function colonOf(file: Buffer, start: number, end: number): number {
  if (end - start > AUTH_LINE_BYTES_MAX) return -1
  const colon = endOf(file, start, COLON, end)
  return colon === end || endOf(file, start, NUL, end) < end ? -1 : colon
}

function isNew(names: Set<string>, file: Buffer, start: number, end: number): boolean {
  const { size } = names
  return names.add(file.toString('latin1', start, end)).size > size
}

/** First position of the byte in [start, end); `end` if there is none. */
function endOf(bytes: Buffer, start: number, byte: number, end: number): number {
  const at = bytes.indexOf(byte, start)
  return at < 0 || at > end ? end : at
}
