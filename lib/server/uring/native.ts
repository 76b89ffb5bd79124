// Calls into the C library, through Node's own node:ffi: all that this project knows of pointers.
//
// node:ffi is experimental, so nothing depends on it: whoever asks gets undefined where it is missing,
// not allowed, or different, and does without. Memory that is handed to the kernel by its address is
// kept alive by whoever handed it over; a garbage collector does not see addresses.

import { getSystemErrorName } from 'node:util'

/** An address as a number: those of user memory are below 2^47. */
export type Address = number

export interface Native {
  /** io_uring_enter: how many requests it took, or an errno, negative. */
  enter(descriptor: number, submit: number, waitFor: number, flags: number): number
  /** A system call of no more than four arguments; throws what it fails with. */
  call(name: string, number: number, ...args: (number | Address)[]): number
  /** Of a descriptor that does not block: how many bytes, or an errno, negative. */
  read(descriptor: number, to: Address, bytes: number): number
  write(descriptor: number, from: Address, bytes: number): number
  /** As `write`, of all that a struct msghdr points to. */
  sendMessage(descriptor: number, header: Address): number
  /** Maps memory, a descriptor's or (-1) nobody's. */
  map(bytes: number, descriptor: number, offset: number): ArrayBuffer
  unmap(address: Address, bytes: number): void
  close(descriptor: number): void
  addressOf(view: ArrayBuffer | NodeJS.ArrayBufferView): Address
  /** What tells by being readable that libuv's loop of this thread has something to do. */
  loopDescriptor(): number
  /** Milliseconds until libuv's loop of this thread has something to do by itself; -1: no such. */
  loopTimeoutMs(): number
}

export type Ffi = typeof import('node:ffi')

const ENTER = 426
const PROT_READ_WRITE = 3
const MAP_SHARED_POPULATE = 0x8001
const MAP_PRIVATE_ANONYMOUS = 0x22

/** Undefined: this Node gives no way to it. */
export function loadNative(): Native | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const ffi = loadFfi()
    return ffi === undefined ? undefined : nativeOf(ffi)
  } catch {
    return undefined
  }
}

function nativeOf(ffi: Ffi): Native {
  const library = new ffi.DynamicLibrary(null)
  // Six arguments of 64 bits and less are what the quick way of calling takes.
  const enter = library.getFunction('syscall', {
    arguments: ['i32', 'i32', 'u32', 'u32', 'u32', 'u64'],
    return: 'i32',
  })
  // One library knows a function by one signature.
  const call = new ffi.DynamicLibrary(null).getFunction('syscall', {
    arguments: ['u64', 'u64', 'u64', 'u64', 'u64'],
    return: 'i64',
  })
  const mmap = library.getFunction('mmap', {
    arguments: ['u64', 'u64', 'i32', 'i32', 'i32', 'i64'],
    return: 'i64',
  })
  const munmap = library.getFunction('munmap', { arguments: ['u64', 'u64'], return: 'i32' })
  const close = library.getFunction('close', { arguments: ['i32'], return: 'i32' })
  const errnoAt = library.getFunction('__errno_location', { arguments: [], return: 'u64' })
  const errno = (): number => -ffi.getInt32(errnoAt())
  const backendFd = library.getFunction('uv_backend_fd', { arguments: ['u64'], return: 'i32' })
  const timeout = library.getFunction('uv_backend_timeout', { arguments: ['u64'], return: 'i32' })
  const loop = ffi.getCurrentEventLoop()
  const addressOf = (view: ArrayBuffer | NodeJS.ArrayBufferView) => Number(ffi.getRawPointer(view))
  return {
    enter: (descriptor, submit, waitFor, flags) => {
      const taken = enter(ENTER, descriptor, submit, waitFor, flags, 0n)
      return taken < 0 ? errno() : taken
    },
    call: (name, number, ...args) => {
      const [a = 0n, b = 0n, c = 0n, d = 0n] = args.map(BigInt)
      const result = Number(call(BigInt(number), a, b, c, d))
      if (result < 0) throw failure(name, errno())
      return result
    },
    ...transfersOf(library, errno),
    map: (bytes, descriptor, offset) => {
      const flags = descriptor < 0 ? MAP_PRIVATE_ANONYMOUS : MAP_SHARED_POPULATE
      const length = BigInt(bytes)
      const address = mmap(0n, length, PROT_READ_WRITE, flags, descriptor, BigInt(offset))
      if (address === -1n) throw failure('mmap', errno())
      return ffi.toArrayBuffer(address, bytes, false)
    },
    unmap: (address, bytes) => {
      munmap(BigInt(address), BigInt(bytes))
    },
    close: descriptor => {
      close(descriptor)
    },
    addressOf,
    loopDescriptor: () => backendFd(loop),
    loopTimeoutMs: () => timeout(loop),
  }
}

function transfersOf(
  library: InstanceType<Ffi['DynamicLibrary']>,
  errno: () => number,
): Pick<Native, 'read' | 'write' | 'sendMessage'> {
  // Fewer bigints are made than with the whole of size_t and ssize_t; nothing here is so long.
  const transfer = { arguments: ['i32', 'u64', 'u32'], return: 'i32' } as const
  const read = library.getFunction('read', transfer)
  const write = library.getFunction('write', transfer)
  const sendmsg = library.getFunction('sendmsg', {
    arguments: ['i32', 'u64', 'i32'],
    return: 'i32',
  })
  const countOf = (result: number): number => (result < 0 ? errno() : result)
  return {
    read: (descriptor, to, bytes) => countOf(read(descriptor, BigInt(to), bytes)),
    write: (descriptor, from, bytes) => countOf(write(descriptor, BigInt(from), bytes)),
    sendMessage: (descriptor, header) => countOf(sendmsg(descriptor, BigInt(header), 0)),
  }
}

function failure(name: string, status: number): Error {
  return new Error(`${name} ${getSystemErrorName(status)}`)
}

/** node:ffi, without the line on stderr that says that it is experimental; undefined: there is none. */
export function loadFfi(): Ffi | undefined {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule('node:ffi') as Ffi | undefined
  } finally {
    process.emitWarning = emitWarning
  }
}
