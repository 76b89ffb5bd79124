// Every offset and number of the binary protocol's frames (protocol_binary of memcached).
//
//   byte      0      1       2-3        4           5          6-7              8-11   12-15  16-23
//   request   0x80   opcode  key bytes  extra bytes data type  vbucket          body   opaque CAS
//   response  0x81   opcode  key bytes  extra bytes data type  status           body   opaque CAS
//
// then extras, key and value; `body` is the length of all three. Numbers are big-endian; the opaque
// is returned as it came.

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
