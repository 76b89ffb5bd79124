// The calls that io_uring needs from the C library and from libuv, through node:ffi
// (native/ffi.ts): system calls, mapped memory, reads and writes by address. Linux only.
//
// Nothing here checks an address: a wrong one ends the process or damages memory. The callers are
// uring/uring.ts (memory shared with the kernel), uring/line.ts and uring/message.ts (reads and
// writes) and uring/loop.ts. Each keeps the memory alive that it passes.

import { getSystemErrorName } from 'node:util'
import { type Address, type Ffi, functionsOf, loadFfi } from './ffi.ts'

export interface Native {
  /** io_uring_enter: the number of requests it took, or a negative errno. */
  enter(descriptor: number, submit: number, waitFor: number, flags: number): number
  /** A system call of at most four arguments; its result. Throws an Error with the errno's name. */
  call(name: string, number: number, ...args: (number | Address)[]): number
  /** From a non-blocking descriptor: the number of bytes, or a negative errno. */
  read(descriptor: number, to: Address, bytes: number): number
  write(descriptor: number, from: Address, bytes: number): number
  /** As `write`, for all that a struct msghdr points to. */
  sendMessage(descriptor: number, header: Address): number
  /** As `read`, into all that a struct msghdr points to. */
  receiveMessage(descriptor: number, header: Address): number
  /**
   * Maps the memory of a descriptor, or with -1 anonymous memory. Throws an Error with the errno's
   * name.
   */
  map(bytes: number, descriptor: number, offset: number): ArrayBuffer
  unmap(address: Address, bytes: number): void
  close(descriptor: number): void
  addressOf(view: ArrayBuffer | NodeJS.ArrayBufferView): Address
  /** Readable while libuv's loop of this thread has something to do. */
  loopDescriptor(): number
  /** Milliseconds until the next timer of libuv's loop of this thread; -1: it has none. */
  loopTimeoutMs(): number
}

const ENTER = 426
const PROT_READ_WRITE = 3
const MAP_SHARED_POPULATE = 0x8001
const MAP_PRIVATE_ANONYMOUS = 0x22

/** Undefined: not Linux, or no node:ffi with this interface. */
export function loadNative(): Native | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    const ffi = loadFfi()
    return ffi === undefined ? undefined : nativeOf(ffi)
  } catch {
    return undefined
  }
}

const TRANSFER = { arguments: ['i32', 'u64', 'u32'], return: 'i32' } as const

const MESSAGE = { arguments: ['i32', 'u64', 'i32'], return: 'i32' } as const

/** Numbers of 64 bits are bigints, which are slow: frequent calls have few. */
const FUNCTIONS = {
  syscall: { arguments: ['i32', 'i32', 'u32', 'u32', 'u32', 'u64'], return: 'i32' },
  // 32 bits, not size_t and ssize_t. No transfer here is that long.
  read: TRANSFER,
  write: TRANSFER,
  sendmsg: MESSAGE,
  recvmsg: MESSAGE,
  mmap: { arguments: ['u64', 'u64', 'i32', 'i32', 'i32', 'i64'], return: 'i64' },
  munmap: { arguments: ['u64', 'u64'], return: 'i32' },
  close: { arguments: ['i32'], return: 'i32' },
  __errno_location: { arguments: [], return: 'u64' },
  uv_backend_fd: { arguments: ['u64'], return: 'i32' },
  uv_backend_timeout: { arguments: ['u64'], return: 'i32' },
} as const

/** A library object knows one signature for each function, and `syscall` needs two. */
const LONG_CALL = {
  syscall: { arguments: ['u64', 'u64', 'u64', 'u64', 'u64'], return: 'i64' },
} as const

function nativeOf(ffi: Ffi): Native {
  const functions = functionsOf(new ffi.DynamicLibrary(null), FUNCTIONS)
  const { syscall: enter, mmap, munmap, close, read, write, sendmsg, recvmsg } = functions
  const { __errno_location: errnoAt, uv_backend_fd: backendFd } = functions
  const { uv_backend_timeout: timeout } = functions
  const { syscall: call } = functionsOf(new ffi.DynamicLibrary(null), LONG_CALL)
  const errno = (): number => -ffi.getInt32(errnoAt())
  const countOf = (result: number): number => (result < 0 ? errno() : result)
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
    read: (descriptor, to, bytes) => countOf(read(descriptor, BigInt(to), bytes)),
    write: (descriptor, from, bytes) => countOf(write(descriptor, BigInt(from), bytes)),
    sendMessage: (descriptor, header) => countOf(sendmsg(descriptor, BigInt(header), 0)),
    receiveMessage: (descriptor, header) => countOf(recvmsg(descriptor, BigInt(header), 0)),
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

function failure(name: string, status: number): Error {
  return new Error(`${name} ${getSystemErrorName(status)}`)
}
