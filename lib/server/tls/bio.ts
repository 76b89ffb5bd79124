// The memory between OpenSSL and a line: bytes that came in and will be opened, and bytes that were
// sealed and will go out. Both are OpenSSL's memory BIOs. Their BUF_MEM is public, and is read and
// written here directly: a call through node:ffi would cost more than what it does.
//
//   BUF_MEM  length 0 | data 8 | max 16 | flags 24

import { Area, copyBytes } from '../../bytes/area.ts'
import { REPLY_BYTES, SEAL_BYTES_MAX } from '../../protocol/limits.ts'
import type { OpenSsl, Pointer } from './openssl.ts'

const LENGTH = 0
const DATA = 8
const MAX = 16
const BUF_MEM_BYTES = 32

// Commands of BIO_ctrl, in bio.h.
const RESET = 1
const GET_BUF_MEM = 115
const SET_EOF_RETURN = 130
/** An empty BIO means that more will come, not the end. */
const TRY_AGAIN = -1n

/** The longest reply, sealed. */
const SEALED_BYTES_MAX = REPLY_BYTES + SEAL_BYTES_MAX
/** What was taken is discarded when it is longer than this. */
const TAKEN_BYTES_MAX = REPLY_BYTES

/** Bytes lent to OpenSSL, which reads them in place. The beginning of a record it copies. */
export class Incoming {
  readonly bio: Pointer
  private readonly openSsl: OpenSsl
  private readonly memory: DataView
  private lentInput: Area | null = null
  private lentStart = 0
  private lentAt: Pointer = 0n

  constructor(openSsl: OpenSsl) {
    this.openSsl = openSsl
    this.bio = openSsl.withText('', at => openSsl.call.BIO_new_mem_buf(at, 0))
    openSsl.call.BIO_ctrl(this.bio, SET_EOF_RETURN, TRY_AGAIN, 0n)
    this.memory = bufMemOf(openSsl, this.bio)
  }

  /** Bytes not read yet. */
  get length(): number {
    return this.memory.getInt32(LENGTH, true)
  }

  set length(bytes: number) {
    this.memory.setInt32(LENGTH, bytes, true)
  }

  lend(input: Area, start: number, bytes: number): void {
    if (input !== this.lentInput || start !== this.lentStart) {
      this.lentInput = input
      this.lentStart = start
      this.lentAt = this.openSsl.addressOf(input) + BigInt(start)
    }
    this.memory.setBigUint64(DATA, this.lentAt, true)
    this.memory.setInt32(MAX, bytes, true)
    this.length = bytes
  }
}

/** What OpenSSL wrote. It appends to what was already taken, which is discarded now and then. */
export class Outgoing {
  readonly bio: Pointer
  private readonly openSsl: OpenSsl
  private readonly memory: DataView
  private data: Area
  /** Its size: the memory moves only when it grows. */
  private dataMax = 0
  private taken = 0

  constructor(openSsl: OpenSsl) {
    const { call } = openSsl
    this.openSsl = openSsl
    this.bio = call.BIO_new(call.BIO_s_mem())
    // Grown once to the largest size it will need, so that it does not move later.
    openSsl.withBytes(Buffer.alloc(TAKEN_BYTES_MAX + SEALED_BYTES_MAX), (at, length) =>
      call.BIO_write(this.bio, at, length),
    )
    this.memory = bufMemOf(openSsl, this.bio)
    this.data = this.look()
    this.reset()
  }

  get isEmpty(): boolean {
    return this.memory.getInt32(LENGTH, true) === this.taken
  }

  /** Copies sealed bytes to the area, at most SEALED_BYTES_MAX; returns how many. */
  take(area: Area, start: number): number {
    const { memory, taken } = this
    const bytes = Math.min(memory.getInt32(LENGTH, true) - taken, SEALED_BYTES_MAX)
    if (bytes === 0) return 0
    if (memory.getInt32(MAX, true) !== this.dataMax) this.data = this.look()
    copyBytes(this.data, taken, area, start, bytes)
    this.taken = taken + bytes
    if (this.taken > TAKEN_BYTES_MAX && this.isEmpty) this.reset()
    return bytes
  }

  private look(): Area {
    this.dataMax = this.memory.getInt32(MAX, true)
    const at = this.memory.getBigUint64(DATA, true)
    return new Area(Buffer.from(this.openSsl.memory(at, this.dataMax)))
  }

  private reset(): void {
    this.openSsl.call.BIO_ctrl(this.bio, RESET, 0n, 0n)
    this.taken = 0
  }
}

function bufMemOf(openSsl: OpenSsl, bio: Pointer): DataView {
  const found = new BigUint64Array(1)
  openSsl.withBytes(new Uint8Array(found.buffer), at =>
    openSsl.call.BIO_ctrl(bio, GET_BUF_MEM, 0n, at),
  )
  return new DataView(openSsl.memory(found[0], BUF_MEM_BYTES))
}

/** Whether the memory of this OpenSSL behaves as this file expects, by a trial. */
export function isAsExpected(openSsl: OpenSsl, incoming: Incoming, outgoing: Outgoing): boolean {
  const { call } = openSsl
  const area = Area.allocate(SEALED_BYTES_MAX)
  area.bytes.write('<given>')
  const at = openSsl.addressOf(area)
  call.BIO_write(outgoing.bio, at, 3)
  call.BIO_write(outgoing.bio, at, 7)
  const isTaken =
    outgoing.take(area, 0) === 10 && area.bytes.toString('latin1', 0, 10) === '<gi<given>'
  incoming.lend(area, 3, 7)
  const isLent = call.BIO_read(incoming.bio, at, 5) === 5 && incoming.length === 2
  const isRead = call.BIO_read(incoming.bio, at, 5) === 2 && area.bytes[1] === 62
  const isEmpty = call.BIO_read(incoming.bio, at, 5) === -1 && incoming.length === 0
  return isTaken && isLent && isRead && isEmpty && outgoing.take(area, 0) === 0
}
