// CRC-32. Node's zlib is loaded with the first sum, since every thread of a daemon has this file:
// zlib takes half a MiB of each.

let zlib: typeof import('node:zlib') | undefined

/** `value`: the sum of the bytes before these. */
export function crc32(bytes: Buffer, value = 0): number {
  zlib ??= process.getBuiltinModule('node:zlib')
  return zlib.crc32(bytes, value)
}
