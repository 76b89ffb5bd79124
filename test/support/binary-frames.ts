/**
 * Frames of the binary protocol as latin1 text, one character a byte. Any field may be given a
 * wrong value. The lower bits of an opaque identify the key, so that CAS numbers can be compared by
 * key.
 */
import type { Dialect, Step } from './differential.ts'
import type { Normaliser } from './normalise.ts'

export const Op = {
  GET: 0x00,
  SET: 0x01,
  ADD: 0x02,
  REPLACE: 0x03,
  DELETE: 0x04,
  INCR: 0x05,
  DECR: 0x06,
  QUIT: 0x07,
  FLUSH: 0x08,
  GETQ: 0x09,
  NOOP: 0x0a,
  VERSION: 0x0b,
  GETK: 0x0c,
  GETKQ: 0x0d,
  APPEND: 0x0e,
  PREPEND: 0x0f,
  STAT: 0x10,
  SETQ: 0x11,
  ADDQ: 0x12,
  REPLACEQ: 0x13,
  DELETEQ: 0x14,
  INCRQ: 0x15,
  DECRQ: 0x16,
  QUITQ: 0x17,
  FLUSHQ: 0x18,
  APPENDQ: 0x19,
  PREPENDQ: 0x1a,
  VERBOSITY: 0x1b,
  TOUCH: 0x1c,
  GAT: 0x1d,
  GATQ: 0x1e,
  SASL_LIST: 0x20,
  SASL_AUTH: 0x21,
  SASL_STEP: 0x22,
  GATK: 0x23,
  GATKQ: 0x24,
} as const

export interface Parts {
  extras?: string
  key?: string
  value?: string
  /** A number, or the placeholder of `lastCas`. */
  cas?: bigint | string
  opaque?: number
  magic?: number
  dataType?: number
  vbucket?: number
  keyBytes?: number
  extraBytes?: number
  bodyBytes?: number
}

/** A response, its body taken apart. */
export interface Response {
  magic: number
  opcode: number
  dataType: number
  status: number
  opaque: number
  cas: bigint
  extras: string
  key: string
  value: string
}

export const HEADER_BYTES = 24
const KEY_TAG_MASK = 0xfff
const MARK_OPAQUE = 0x6d41524b
const CAS_PLACE = 'cas>'
/** In place of a CAS that was not seen yet: no item has it. */
const NO_CAS = 2n ** 63n - 1n

export function frame(opcode: number, parts: Parts = {}): string {
  const { extras = '', key = '', value = '', cas = 0n } = parts
  const body = extras + key + value
  const header = Buffer.alloc(HEADER_BYTES)
  header[0] = parts.magic ?? 0x80
  header[1] = opcode
  header.writeUInt16BE(parts.keyBytes ?? key.length, 2)
  header[4] = parts.extraBytes ?? extras.length
  header[5] = parts.dataType ?? 0
  header.writeUInt16BE(parts.vbucket ?? 0, 6)
  header.writeUInt32BE(parts.bodyBytes ?? body.length, 8)
  header.writeUInt32BE(parts.opaque ?? keyTag(key), 12)
  if (typeof cas === 'bigint') header.writeBigUInt64BE(cas, 16)
  else header.write(cas, 16, 'latin1')
  return header.toString('latin1') + body
}

export function u32(value: number): string {
  return bytes(4, buffer => buffer.writeUInt32BE(value >>> 0))
}

export function u64(value: bigint): string {
  return bytes(8, buffer => buffer.writeBigUInt64BE(BigInt.asUintN(64, value)))
}

/** set, add or replace; append and prepend have no extras. */
export function store(opcode: number, key: string, value: string, parts: Parts = {}): string {
  return frame(opcode, { extras: u32(0) + u32(0), key, value, ...parts })
}

export function count(
  opcode: number,
  key: string,
  delta: bigint,
  initial?: bigint,
  exptime?: number,
): string {
  return frame(opcode, { extras: countExtras(delta, initial, exptime), key })
}

export function countExtras(delta: bigint, initial = 0n, exptime = 0xffffffff): string {
  return u64(delta) + u64(initial) + u32(exptime)
}

export function touch(opcode: number, key: string, exptime: number, parts: Parts = {}): string {
  return frame(opcode, { extras: u32(exptime), key, ...parts })
}

/** The bits of an opaque that identify the key. */
export function keyTag(key: string): number {
  let hash = 0
  for (const letter of key) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0
  return hash & KEY_TAG_MASK
}

/** A placeholder for the last CAS of this key in a reply to an earlier step. */
export function lastCas(key: string): string {
  return CAS_PLACE + u32(keyTag(key))
}

/** The responses in a reply, and the bytes after the last complete one. */
export function parseFrames(reply: string): { responses: Response[]; rest: string } {
  const all = Buffer.from(reply, 'latin1')
  const responses: Response[] = []
  let at = 0
  while (all.length - at >= HEADER_BYTES) {
    const extraBytes = all[at + 4]
    const keyBytes = all.readUInt16BE(at + 2)
    const bodyBytes = all.readUInt32BE(at + 8)
    const end = at + HEADER_BYTES + bodyBytes
    if (all[at] !== 0x81 || extraBytes + keyBytes > bodyBytes || end > all.length) break
    const keyAt = at + HEADER_BYTES + extraBytes
    responses.push({
      magic: all[at],
      opcode: all[at + 1],
      dataType: all[at + 5],
      status: all.readUInt16BE(at + 6),
      opaque: all.readUInt32BE(at + 12),
      cas: all.readBigUInt64BE(at + 16),
      extras: all.toString('latin1', at + HEADER_BYTES, keyAt),
      key: all.toString('latin1', keyAt, keyAt + keyBytes),
      value: all.toString('latin1', keyAt + keyBytes, end),
    })
    at = end
  }
  return { responses, rest: all.toString('latin1', at) }
}

export const BINARY: Dialect = {
  mark: frame(Op.NOOP, { opaque: MARK_OPAQUE }),
  markReply: markReply(),
  markReplyEnd: markReply(),
  createNormaliser: createFrameNormaliser,
  fill: fillCas,
}

/**
 * One line per response, with all fields. A CAS number is replaced by the order of its first
 * appearance for its key. Versions and the values of statistics are left out.
 */
function createFrameNormaliser(withoutPadding = false): Normaliser {
  const seen = new Map<number, bigint[]>()
  const last = new Map<number, bigint>()
  const rankOf = (opaque: number, cas: bigint) => {
    const tag = opaque & KEY_TAG_MASK
    const order = seen.get(tag) ?? []
    if (!order.includes(cas)) order.push(cas)
    seen.set(tag, order)
    last.set(tag, cas)
    return `#${order.indexOf(cas)}`
  }
  const normalise = (reply: string) => {
    const { responses, rest } = parseFrames(reply)
    const lines = responses.map(response => lineOf(response, rankOf, withoutPadding))
    return lines.join('') + (rest === '' ? '' : `and ${JSON.stringify(rest)}`)
  }
  const lastOf = (tag: string) => last.get(Number(tag))?.toString()
  return Object.assign(normalise, { lastCas: lastOf })
}

function lineOf(
  response: Response,
  rankOf: (opaque: number, cas: bigint) => string,
  withoutPadding: boolean,
): string {
  const { opcode, dataType, status, opaque, cas, extras, key, value } = response
  const plain = withoutPadding ? value.replace(/^(\d+) +$/, '$1') : value
  const isNamed = opcode === Op.STAT && key !== '' && key !== 'detailed'
  const hidden = opcode === Op.VERSION || isNamed
  const parts = [extras, key, hidden && status === 0 ? '*' : plain].map(part =>
    JSON.stringify(part),
  )
  const shownCas = cas === 0n ? 'no cas' : rankOf(opaque, cas)
  return `${hex(opcode)} ${hex(status)} ${hex(dataType)} ${hex(opaque)} ${shownCas} ${parts.join(' ')}\n`
}

function fillCas(step: Step, normalise: Normaliser): string {
  return step.replace(/cas>([\s\S]{4})/g, (_, tag: string) => {
    const seen = normalise.lastCas(`${Buffer.from(tag, 'latin1').readUInt32BE(0)}`)
    return u64(seen === undefined ? NO_CAS : BigInt(seen))
  })
}

function markReply(): string {
  return frame(Op.NOOP, { magic: 0x81, opaque: MARK_OPAQUE })
}

function bytes(length: number, write: (buffer: Buffer) => void): string {
  const buffer = Buffer.alloc(length)
  write(buffer)
  return buffer.toString('latin1')
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0')
}
