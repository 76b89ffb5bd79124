// Digests of passwords: scrypt, in the form that other programs print and read too,
//
//   $scrypt$ln=14,r=8,p=1$<salt>$<hash>       base64 without padding, 2^ln rounds
//
// A check takes some 50 ms and 16 MiB, on another thread.

import { randomBytes, scrypt, scryptSync, timingSafeEqual } from 'node:crypto'
import { SCRYPT_BYTES_MAX, SCRYPT_LN_MAX, SCRYPT_PARALLEL_MAX } from './limits.ts'

const LN = 14
const R = 8
const P = 1
const SALT_BYTES = 16
const HASH_BYTES = 32

export interface Digest {
  ln: number
  r: number
  p: number
  salt: Buffer
  hash: Buffer
}

export const DIGEST_MARK = '$scrypt$'

const FORM = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]{11,86})\$([\w+/]{22,86})$/

/** A new digest of a password. */
export function digestOf(password: Buffer): string {
  const salt = randomBytes(SALT_BYTES)
  const hash = scryptSync(password, salt, HASH_BYTES, costsOf({ ln: LN, r: R, p: P }))
  return `${DIGEST_MARK}ln=${LN},r=${R},p=${P}$${plain64(salt)}$${plain64(hash)}`
}

/** Throws an Error of one line. */
export function readDigest(text: string): Digest {
  const [, ln, r, p, salt, hash] = FORM.exec(text) ?? []
  if (salt === undefined || hash === undefined) {
    throw new Error('a digest has another form than $scrypt$ln=14,r=8,p=1$salt$hash')
  }
  const digest = {
    ln: Number(ln),
    r: Number(r),
    p: Number(p),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
  const isBounded =
    digest.ln >= 1 &&
    digest.ln <= SCRYPT_LN_MAX &&
    digest.r >= 1 &&
    digest.p >= 1 &&
    digest.p <= SCRYPT_PARALLEL_MAX &&
    128 * digest.r * 2 ** digest.ln <= SCRYPT_BYTES_MAX
  if (!isBounded) throw new Error('a digest takes too much memory or time')
  return digest
}

/** Whether it is the digest of this password: `done` gets that later. */
export function checkDigest(
  digest: Digest,
  password: Buffer,
  done: (isRight: boolean) => void,
): void {
  const { salt, hash } = digest
  scrypt(password, salt, hash.length, costsOf(digest), (error, found) => {
    done(error === null && timingSafeEqual(found, hash))
  })
}

/** Takes as long as a digest of `digestOf`, and is of no password. */
export function digestOfNobody(): Digest {
  return { ln: LN, r: R, p: P, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) }
}

function costsOf({ ln, r, p }: Pick<Digest, 'ln' | 'r' | 'p'>) {
  // Node's own bound leaves no room for what OpenSSL needs beside it.
  return { N: 2 ** ln, r, p, maxmem: 2 * SCRYPT_BYTES_MAX }
}

function plain64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
