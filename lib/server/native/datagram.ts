// One datagram to a UNIX socket, which Node has no call for. It never waits for the reader. Through
// node:ffi (native/ffi.ts), Linux only. The addresses that it passes are of buffers that live until
// the call has returned.

import { type Ffi, functionsOf, loadFfi } from './ffi.ts'

const AF_UNIX = 1
const SOCK_DGRAM_CLOEXEC = 0x80002
const MSG_DONTWAIT = 0x40
const PATH_AT = 2
/** Longest path, without the NUL after it. */
const PATH_BYTES_MAX = 107

const FUNCTIONS = {
  socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
  sendto: { arguments: ['i32', 'u64', 'u64', 'i32', 'u64', 'u32'], return: 'i64' },
  close: { arguments: ['i32'], return: 'i32' },
} as const

/** Sends it to the socket at `path`; '@' in front: an abstract name. False: that failed. */
export function sendDatagram(path: string, text: string): boolean {
  if (process.platform !== 'linux' || Buffer.byteLength(path) > PATH_BYTES_MAX) return false
  try {
    const ffi = loadFfi()
    return ffi !== undefined && send(ffi, path, text)
  } catch {
    // Another interface of node:ffi.
    return false
  }
}

function send(ffi: Ffi, path: string, text: string): boolean {
  const { socket, sendto, close } = functionsOf(new ffi.DynamicLibrary(null), FUNCTIONS)
  const address = Buffer.alloc(PATH_AT + PATH_BYTES_MAX + 1)
  address.writeUInt16LE(AF_UNIX, 0)
  const length = PATH_AT + address.write(path, PATH_AT)
  const isAbstract = path.startsWith('@')
  if (isAbstract) address[PATH_AT] = 0
  const bytes = Buffer.from(text)
  const descriptor = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0)
  if (descriptor < 0) return false
  const at = (buffer: Buffer) => BigInt(ffi.getRawPointer(buffer))
  const addressBytes = isAbstract ? length : length + 1
  const sent = sendto(
    descriptor,
    at(bytes),
    BigInt(bytes.length),
    MSG_DONTWAIT,
    at(address),
    addressBytes,
  )
  close(descriptor)
  return Number(sent) === bytes.length
}
