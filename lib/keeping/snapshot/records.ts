// Records: the heads of items, in the payload of a block.

import type { Area } from '../../bytes/area.ts'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import * as F from './layout.ts'

/** What a record says of its item besides key and value. One a reader or writer, reused. */
export class RecordHead {
  keyBytes = 0
  isKeyBinary = false
  uses = 0
  flags = 0
  valueBytes = 0
  /** Seconds since it was used, when the snapshot began. */
  idleS = 0
  /** Unix time, seconds; 0: never. */
  expiresAtS = 0
  casHigh = 0
  casLow = 0
}

const TWO_32 = 2 ** 32
const USES_MAX = 4

/** Bytes before the key. */
export function headBytes(hasCas: boolean): number {
  return hasCas ? F.RECORD_BYTES_WITH_CAS : F.RECORD_BYTES
}

/** Writes a head at `at`. Returns where the key goes. */
export function putHead({ view }: Area, at: number, head: RecordHead, hasCas: boolean): number {
  const state = (head.isKeyBinary ? F.STATE_KEY_BINARY : 0) | (head.uses << F.STATE_USES_SHIFT)
  view.setUint32(at, head.keyBytes | (state << 8), true)
  view.setUint32(at + F.RECORD_FLAGS, head.flags, true)
  view.setUint32(at + F.RECORD_VALUE_BYTES, head.valueBytes, true)
  view.setUint32(at + F.RECORD_IDLE_S, head.idleS, true)
  view.setUint32(at + F.RECORD_EXPIRES_AT_S, head.expiresAtS % TWO_32, true)
  view.setUint32(at + F.RECORD_EXPIRES_AT_S + 4, Math.floor(head.expiresAtS / TWO_32), true)
  if (!hasCas) return at + F.RECORD_BYTES
  view.setInt32(at + F.RECORD_CAS, head.casLow, true)
  view.setInt32(at + F.RECORD_CAS + 4, head.casHigh, true)
  return at + F.RECORD_BYTES_WITH_CAS
}

/**
 * Reads the head at `at`, and returns where the key is; -1 if no whole head with its key ends
 * before `end`, or one that no writer writes.
 */
export function readHead(
  { view }: Area,
  at: number,
  end: number,
  head: RecordHead,
  hasCas: boolean,
): number {
  const keyAt = at + headBytes(hasCas)
  if (keyAt > end) return -1
  const state = view.getUint8(at + F.RECORD_STATE)
  head.keyBytes = view.getUint8(at + F.RECORD_KEY_BYTES)
  head.isKeyBinary = (state & F.STATE_KEY_BINARY) !== 0
  head.uses = (state >>> F.STATE_USES_SHIFT) & F.STATE_USES_MASK
  head.flags = view.getUint32(at + F.RECORD_FLAGS, true)
  head.valueBytes = view.getUint32(at + F.RECORD_VALUE_BYTES, true)
  head.idleS = view.getUint32(at + F.RECORD_IDLE_S, true)
  const high = view.getUint32(at + F.RECORD_EXPIRES_AT_S + 4, true)
  head.expiresAtS = view.getUint32(at + F.RECORD_EXPIRES_AT_S, true) + high * TWO_32
  head.casLow = hasCas ? view.getInt32(at + F.RECORD_CAS, true) : 0
  head.casHigh = hasCas ? view.getInt32(at + F.RECORD_CAS + 4, true) : 0
  const isSound = head.keyBytes >= 1 && head.keyBytes <= KEY_BYTES_MAX && head.uses <= USES_MAX
  return isSound && keyAt + head.keyBytes <= end ? keyAt : -1
}

/** The band of an item by the time since it was used: each is twice as long as the next one. */
export function bandOf(idleS: number): number {
  return Math.max(0, F.BANDS - 1 - (31 - Math.clz32(idleS + 1)))
}
