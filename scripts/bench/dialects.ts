// How each protocol writes a set, a get and a get of many keys, and what a server that has the keys
// replies. All keys of a case have one length, and so have its values. Flags and exptimes are 0.

export type Protocol = 'text' | 'meta' | 'binary'

export interface Dialect {
  set(key: string, value: Buffer): Buffer
  get(key: string): Buffer
  getMany(keys: readonly string[]): Buffer
  readonly stored: Buffer
  hit(key: string, value: Buffer): Buffer
  // One hit of a get of many keys, and what follows the last hit.
  hitOfMany(key: string, value: Buffer): Buffer
  readonly end: Buffer
  // The last byte of every reply; undefined: it varies.
  readonly lastByte: number | undefined
  // Zeroes the fields of a complete reply that each server chooses for itself (CAS).
  mask(reply: Buffer): void
}

const LF = 10
const CRLF = Buffer.from('\r\n')

const text: Dialect = {
  set: (key, value) => lines(`set ${key} 0 0 ${value.length}`, value),
  get: key => Buffer.from(`get ${key}\r\n`),
  getMany: keys => Buffer.from(`get ${keys.join(' ')}\r\n`),
  stored: Buffer.from('STORED\r\n'),
  hit: (key, value) => Buffer.concat([text.hitOfMany(key, value), text.end]),
  hitOfMany: (key, value) => lines(`VALUE ${key} 0 ${value.length}`, value),
  end: Buffer.from('END\r\n'),
  lastByte: LF,
  mask: () => {},
}

// Asks for the flags too, as a text reply has them. A miss among many keys has no reply (q).
const meta: Dialect = {
  set: (key, value) => lines(`ms ${key} ${value.length}`, value),
  get: key => Buffer.from(`mg ${key} f v\r\n`),
  getMany: keys => Buffer.from(`${keys.map(key => `mg ${key} f k q v\r\n`).join('')}mn\r\n`),
  stored: Buffer.from('HD\r\n'),
  hit: (_, value) => lines(`VA ${value.length} f0`, value),
  hitOfMany: (key, value) => lines(`VA ${value.length} f0 k${key}`, value),
  end: Buffer.from('MN\r\n'),
  lastByte: LF,
  mask: () => {},
}

const REQUEST = 0x80
const RESPONSE = 0x81
const GET = 0x00
const SET = 0x01
const NOOP = 0x0a
const GETKQ = 0x0d
const HEADER_BYTES = 24
const KEY_LENGTH = 2
const EXTRAS_LENGTH = 4
const BODY_LENGTH = 8
const OPAQUE = 12
const CAS = 16
const CAS_BYTES = 8
// Any number: the reply repeats it.
const OPAQUE_SENT = 0x6d656d73
const NOTHING: Buffer = Buffer.alloc(0)
const FLAGS = Buffer.alloc(4)
const FLAGS_AND_EXPTIME = Buffer.alloc(8)

const binary: Dialect = {
  set: (key, value) => frame(REQUEST, SET, FLAGS_AND_EXPTIME, key, value),
  get: key => frame(REQUEST, GET, NOTHING, key),
  getMany: keys =>
    Buffer.concat([
      ...keys.map(key => frame(REQUEST, GETKQ, NOTHING, key)),
      frame(REQUEST, NOOP, NOTHING),
    ]),
  stored: frame(RESPONSE, SET, NOTHING),
  hit: (_, value) => frame(RESPONSE, GET, FLAGS, '', value),
  hitOfMany: (key, value) => frame(RESPONSE, GETKQ, FLAGS, key, value),
  end: frame(RESPONSE, NOOP, NOTHING),
  lastByte: undefined,
  mask: reply => {
    for (let at = 0; at + HEADER_BYTES <= reply.length; ) {
      reply.fill(0, at + CAS, at + CAS + CAS_BYTES)
      at += HEADER_BYTES + reply.readUInt32BE(at + BODY_LENGTH)
    }
  },
}

export const DIALECTS: Readonly<Record<Protocol, Dialect>> = { text, meta, binary }

function lines(first: string, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from(first), CRLF, value, CRLF])
}

function frame(magic: number, opcode: number, extras: Buffer, key = '', value = NOTHING): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header[0] = magic
  header[1] = opcode
  header.writeUInt16BE(key.length, KEY_LENGTH)
  header[EXTRAS_LENGTH] = extras.length
  header.writeUInt32BE(extras.length + key.length + value.length, BODY_LENGTH)
  header.writeUInt32BE(OPAQUE_SENT, OPAQUE)
  return Buffer.concat([header, extras, Buffer.from(key), value])
}
