// Every offset and number of the binary protocol's frames (protocol_binary of memcached).
//
//   byte      0      1       2-3        4           5          6-7              8-11   12-15  16-23
//   request   0x80   opcode  key bytes  extra bytes data type  vbucket          body   opaque CAS
//   response  0x81   opcode  key bytes  extra bytes data type  status           body   opaque CAS
//
// then extras, key and value; `body` is the length of all three. Numbers are big-endian. The opaque
// is returned unchanged, data type and vbucket are ignored.
//
//   extras    set, add, replace: flags, exptime | increment, decrement: delta, initial, exptime
//             flush: exptime, or none | touch, get and touch: exptime | response to a get: flags

export const REQUEST_MAGIC = 0x80
export const RESPONSE_MAGIC = 0x81

export const HEADER_BYTES = 24
export const OPCODE = 1
export const KEY_BYTES = 2
export const EXTRA_BYTES = 4
export const DATA_TYPE = 5
export const STATUS = 6
export const BODY_BYTES = 8
export const OPAQUE = 12
export const CAS_HIGH = 16
export const CAS_LOW = 20

// Extras of requests, from the start of the frame
export const STORE_FLAGS = HEADER_BYTES
export const STORE_EXPTIME = HEADER_BYTES + 4
export const STORE_EXTRA_BYTES = 8
export const DELTA_HIGH = HEADER_BYTES
export const DELTA_LOW = HEADER_BYTES + 4
export const INITIAL_HIGH = HEADER_BYTES + 8
export const INITIAL_LOW = HEADER_BYTES + 12
export const ADJUST_EXPTIME = HEADER_BYTES + 16
export const ADJUST_EXTRA_BYTES = 20
export const EXPTIME = HEADER_BYTES
export const EXPTIME_BYTES = 4

/** An increment with this exptime does not create a missing item. */
export const EXPTIME_NO_INITIAL = 0xffffffff

// Bodies of responses
export const HIT_EXTRA_BYTES = 4
export const NUMBER_BYTES = 8

/** Status of a response, bytes 6 and 7. */
export const BinaryStatus = {
  OK: 0x00,
  KEY_ENOENT: 0x01,
  KEY_EEXISTS: 0x02,
  E2BIG: 0x03,
  EINVAL: 0x04,
  NOT_STORED: 0x05,
  DELTA_BADVAL: 0x06,
  AUTH_ERROR: 0x20,
  AUTH_CONTINUE: 0x21,
  UNKNOWN_COMMAND: 0x81,
  ENOMEM: 0x82,
} as const

export type BinaryStatus = (typeof BinaryStatus)[keyof typeof BinaryStatus]

/** Operations; the quiet twin of an opcode is the same operation (binary/forms.ts). */
export const Opcode = {
  GET: 0x00,
  SET: 0x01,
  ADD: 0x02,
  REPLACE: 0x03,
  DELETE: 0x04,
  INCREMENT: 0x05,
  DECREMENT: 0x06,
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
  INCREMENTQ: 0x15,
  DECREMENTQ: 0x16,
  QUITQ: 0x17,
  FLUSHQ: 0x18,
  APPENDQ: 0x19,
  PREPENDQ: 0x1a,
  TOUCH: 0x1c,
  GAT: 0x1d,
  GATQ: 0x1e,
  SASL_LIST_MECHS: 0x20,
  SASL_AUTH: 0x21,
  SASL_STEP: 0x22,
  GATK: 0x23,
  GATKQ: 0x24,
} as const

export type Opcode = (typeof Opcode)[keyof typeof Opcode]
