// The bytes of a snapshot file. docs/snapshot-format.md describes them for others.
//
//   +--------+---------+---------+--   --+---------+
//   | header | block 0 | block 1 |  ...  | trailer |     all numbers are little-endian
//   +--------+---------+---------+--   --+---------+
//
//   header   fixed size, with a checksum
//   block    a head of fixed size, then its payload: as it is or compressed, then perhaps sealed
//   trailer  the last block: its payload has the totals. A file without one is torn
//
// The payload of a block is a run of records, or a part of one record that is longer than a block:
// the block LONG has its head, its key and the beginning of its value, and the blocks MORE that
// follow it at once have the rest.

import assert from 'node:assert/strict'
import { KIB } from '../../bytes/units.ts'

/** A byte that is no text, a name, and a line end that a transfer as text would change. */
export const MAGIC = Buffer.from('\x89MSNAP\r\n', 'latin1')
export const VERSION = 1

// Header, bytes
export const HEADER_BYTES = 128
export const HEADER_VERSION = 8
/** The oldest version whose readers can read the file. */
export const HEADER_READERS = 10
export const HEADER_FLAGS = 12
/** When it was begun: Unix time, and how long the machine had been up, milliseconds. */
export const HEADER_WALL_MS = 16
export const HEADER_UPTIME_MS = 24
/** Which start of the machine that was; zeros: unknown. */
export const HEADER_BOOT_ID = 32
export const BOOT_ID_BYTES = 16
/** Of a sealed file: a random number for its own key, and a proof of the key. */
export const HEADER_SALT = 64
export const SALT_BYTES = 32
export const HEADER_PROOF = 96
export const PROOF_BYTES = 16
/** Of all bytes before it. */
export const HEADER_CHECKSUM = 124

/** Records have a CAS; payloads are sealed. A reader refuses a flag that it does not know. */
export const FLAG_CAS = 1 << 0
export const FLAG_SEALED = 1 << 1
export const FLAGS_KNOWN = FLAG_CAS | FLAG_SEALED

// Head of a block, bytes
export const BLOCK_HEAD_BYTES = 32
export const BLOCK_MAGIC_AT = 0
export const BLOCK_MAGIC = 0x4b42534d // MSBK
export const BLOCK_KIND = 4
export const BLOCK_BAND = 5
export const BLOCK_ENCODING = 6
/** Counts the blocks of the file from 0. */
export const BLOCK_NUMBER = 8
export const BLOCK_RECORDS = 12
/** Bytes of the payload: decoded, and as stored, with its seal. */
export const BLOCK_RAW_BYTES = 16
export const BLOCK_STORED_BYTES = 20
/** Of the head before it and of the stored payload. */
export const BLOCK_CHECKSUM = 28

export const Kind = { RECORDS: 1, LONG: 2, MORE: 3, TRAILER: 4 } as const
export type Kind = (typeof Kind)[keyof typeof Kind]
export const Encoding = { PLAIN: 0, ZSTD: 1 } as const
export type Encoding = (typeof Encoding)[keyof typeof Encoding]

/** Payload of a block, decoded, at most. */
export const PAYLOAD_BYTES_MAX = 128 * KIB
export const SEAL_BYTES = 16

/** How recently the items of a block were used: 0 coldest. */
export const BANDS = 16

// Payload of the trailer, bytes
export const TRAILER_BYTES = 40
/** Records, and bytes of their keys and values. */
export const TRAILER_RECORDS = 0
export const TRAILER_ITEM_BYTES = 8
/** When it was complete, Unix time, milliseconds. */
export const TRAILER_WALL_MS = 16
/** High word of the highest CAS that the cache had given. */
export const TRAILER_CAS_HIGH = 24
/** Blocks before the trailer. */
export const TRAILER_BLOCKS = 32

// Record, bytes
export const RECORD_KEY_BYTES = 0
/** Bit 0: the key is shown in base64; bits 1 to 3: how often it had been used (0 to 4). */
export const RECORD_STATE = 1
export const STATE_KEY_BINARY = 1
export const STATE_USES_SHIFT = 1
export const STATE_USES_MASK = 7
export const RECORD_FLAGS = 4
export const RECORD_VALUE_BYTES = 8
/** Seconds since it was used, when the snapshot began. */
export const RECORD_IDLE_S = 12
/** Unix time, seconds; 0: never. */
export const RECORD_EXPIRES_AT_S = 16
export const RECORD_BYTES = 24
/** Only with FLAG_CAS: low word, high word. */
export const RECORD_CAS = 24
export const RECORD_BYTES_WITH_CAS = 32

assert(HEADER_PROOF + PROOF_BYTES <= HEADER_CHECKSUM && HEADER_CHECKSUM + 4 === HEADER_BYTES)
assert(HEADER_SALT + SALT_BYTES === HEADER_PROOF)
assert(BLOCK_CHECKSUM + 4 === BLOCK_HEAD_BYTES)
