// Encryption: AES-256-GCM. Each file has its own key, derived from the secret and a random salt in
// its header, so a nonce may be the number of a block and is never used twice under one key. What
// is authenticated with each payload: the file's header, and the block's head with its number and
// kind. So blocks cannot be changed, reordered, left out or taken from another file, and the
// trailer, which has their number, cannot be missing.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  timingSafeEqual,
} from 'node:crypto'
import { readFileSync } from 'node:fs'
import { BLOCK_CHECKSUM, PROOF_BYTES, SEAL_BYTES } from './layout.ts'
import { Unsound } from './unsound.ts'

const CIPHER = 'aes-256-gcm'
export const SECRET_BYTES = 32
const NONCE_BYTES = 12

/** The secret in a file: 32 bytes, or 64 hex digits, or base64. Throws Unsound. */
export function readSecret(path: string): Buffer {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new Unsound(`cannot read the key file ${path}: ${reasonOf(error)}`)
  }
  if (bytes.length === SECRET_BYTES) return bytes
  const text = bytes.toString('latin1').trim()
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  const decoded = /^[A-Za-z0-9+/]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : null
  if (decoded?.length === SECRET_BYTES) return decoded
  throw new Unsound(`${path} has no key: it is 32 bytes, 64 hex digits, or base64 of 32 bytes`)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export class Seal {
  private readonly key: Buffer
  private readonly headerDigest: Buffer

  /** `header`: the complete header of the file, with `salt` and proof in it. */
  constructor(secret: Buffer, salt: Buffer, header: Buffer) {
    this.key = derive(secret, salt, 'key', SECRET_BYTES)
    this.headerDigest = createHash('sha256').update(header).digest()
  }

  /** Encrypts the payload of block `number`. Its seal follows it. */
  close(number: number, head: Buffer, payload: Buffer): Buffer {
    const cipher = createCipheriv(CIPHER, this.key, nonceOf(number))
    cipher.setAAD(aadOf(this.headerDigest, head))
    return Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()])
  }

  /** Decrypts it. Null: it is not what was sealed. */
  open(number: number, head: Buffer, stored: Buffer): Buffer | null {
    if (stored.length < SEAL_BYTES) return null
    const cipher = createDecipheriv(CIPHER, this.key, nonceOf(number))
    cipher.setAAD(aadOf(this.headerDigest, head))
    cipher.setAuthTag(stored.subarray(stored.length - SEAL_BYTES))
    try {
      const payload = cipher.update(stored.subarray(0, stored.length - SEAL_BYTES))
      return Buffer.concat([payload, cipher.final()])
    } catch {
      return null
    }
  }
}

/** What shows, without the secret, that a file is sealed with it. */
export function proofOf(secret: Buffer, salt: Buffer): Buffer {
  return derive(secret, salt, 'proof', PROOF_BYTES)
}

export function isProof(proof: Buffer, secret: Buffer, salt: Buffer): boolean {
  return timingSafeEqual(proof, proofOf(secret, salt))
}

function derive(secret: Buffer, salt: Buffer, what: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, `memslab snapshot ${what}`, bytes))
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES)
  nonce.writeUInt32LE(number)
  return nonce
}

/** The head without its checksum, which covers what is sealed. */
function aadOf(headerDigest: Buffer, head: Buffer): Buffer {
  return Buffer.concat([headerDigest, head.subarray(0, BLOCK_CHECKSUM)])
}
