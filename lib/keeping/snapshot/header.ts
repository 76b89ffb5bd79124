// The header of a snapshot file, to bytes and back.

import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import * as F from './layout.ts'
import type { Moment } from './moment.ts'
import { isProof, proofOf, Seal } from './seal.ts'
import { Unsound } from './unsound.ts'

/** What a file says of itself. */
export interface Header {
  /** When it was begun. */
  begun: Moment
  hasCas: boolean
  isSealed: boolean
}

/** A header as bytes, and what seals the blocks behind it; null: nothing does. */
export interface Opening {
  bytes: Buffer
  seal: Seal | null
}

/** `secret`: seals the file; null: it is not sealed. */
export function writeHeader(begun: Moment, hasCas: boolean, secret: Buffer | null): Opening {
  const bytes = Buffer.alloc(F.HEADER_BYTES)
  F.MAGIC.copy(bytes)
  bytes.writeUInt16LE(F.VERSION, F.HEADER_VERSION)
  bytes.writeUInt16LE(F.VERSION, F.HEADER_READERS)
  const flags = (hasCas ? F.FLAG_CAS : 0) | (secret === null ? 0 : F.FLAG_SEALED)
  bytes.writeUInt32LE(flags, F.HEADER_FLAGS)
  bytes.writeBigUInt64LE(BigInt(begun.wallMs), F.HEADER_WALL_MS)
  bytes.writeBigUInt64LE(BigInt(begun.uptimeMs), F.HEADER_UPTIME_MS)
  bytes.write(begun.bootId, F.HEADER_BOOT_ID, 'hex')
  const salt = bytes.subarray(F.HEADER_SALT, F.HEADER_SALT + F.SALT_BYTES)
  if (secret !== null) {
    randomBytes(F.SALT_BYTES).copy(salt)
    proofOf(secret, salt).copy(bytes, F.HEADER_PROOF)
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(0, F.HEADER_CHECKSUM)), F.HEADER_CHECKSUM)
  return { bytes, seal: secret === null ? null : new Seal(secret, salt, bytes) }
}

/** Throws Unsound. */
export function readHeader(bytes: Buffer): Header {
  if (!bytes.subarray(0, F.MAGIC.length).equals(F.MAGIC)) {
    throw new Unsound('it is not a snapshot of memslab')
  }
  if (bytes.length < F.HEADER_BYTES) throw new Unsound('it is torn: its header is incomplete')
  const readers = bytes.readUInt16LE(F.HEADER_READERS)
  if (readers > F.VERSION) {
    throw new Unsound(`it needs a newer memslab (format ${readers}, this one reads ${F.VERSION})`)
  }
  if (crc32(bytes.subarray(0, F.HEADER_CHECKSUM)) !== bytes.readUInt32LE(F.HEADER_CHECKSUM)) {
    throw new Unsound('it is damaged: the checksum of its header is wrong')
  }
  const flags = bytes.readUInt32LE(F.HEADER_FLAGS)
  if ((flags & ~F.FLAGS_KNOWN) !== 0) throw new Unsound('it needs a newer memslab')
  return {
    begun: {
      wallMs: Number(bytes.readBigUInt64LE(F.HEADER_WALL_MS)),
      uptimeMs: Number(bytes.readBigUInt64LE(F.HEADER_UPTIME_MS)),
      bootId: bytes.toString('hex', F.HEADER_BOOT_ID, F.HEADER_BOOT_ID + F.BOOT_ID_BYTES),
    },
    hasCas: (flags & F.FLAG_CAS) !== 0,
    isSealed: (flags & F.FLAG_SEALED) !== 0,
  }
}

/** What opens the blocks of a sealed file. Throws Unsound if this secret does not. */
export function sealOf(bytes: Buffer, secret: Buffer | null): Seal {
  if (secret === null) throw new Unsound('it is encrypted, and no key was given')
  const salt = bytes.subarray(F.HEADER_SALT, F.HEADER_SALT + F.SALT_BYTES)
  const proof = bytes.subarray(F.HEADER_PROOF, F.HEADER_PROOF + F.PROOF_BYTES)
  if (!isProof(proof, secret, salt)) throw new Unsound('it is encrypted with another key')
  return new Seal(secret, salt, bytes)
}
