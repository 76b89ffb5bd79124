// Bytes of an image, to and from a descriptor: a file, at places that are known beforehand, or a
// pipe, one after the other. Waits, so only threads that serve nobody meanwhile call this.

import { readSync, writeSync } from 'node:fs'
import { PIPE_SLEEP_MS } from './limits.ts'

/** Milliseconds of the clock that all threads and processes of this machine share. */
export function sharedMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

const sleeping = new Int32Array(new SharedArrayBuffer(4))

export class Channel {
  readonly descriptor: number
  /** Where the next byte of the file is; null: a pipe. */
  private position: number | null
  private readonly deadlineMs: number

  /** `deadlineMs`: when a pipe is given up that does not move, on the clock of `sharedMs`. */
  constructor(
    descriptor: number,
    position: number | null,
    deadlineMs: number = Number.POSITIVE_INFINITY,
  ) {
    this.descriptor = descriptor
    this.position = position
    this.deadlineMs = deadlineMs
  }

  get isPipe(): boolean {
    return this.position === null
  }

  /** Writes all of it. Throws Node's error: ENOSPC, EPIPE, ETIMEDOUT ... */
  write(bytes: Buffer, start: number, length: number): void {
    for (let done = 0; done < length; ) {
      done += this.retry(() => {
        return writeSync(this.descriptor, bytes, start + done, length - done, this.position)
      }, length - done)
    }
  }

  /** Reads until it is full or the input ends. Returns the number of bytes. */
  read(bytes: Buffer, start: number, length: number): number {
    let done = 0
    while (done < length) {
      const count = this.retry(() => {
        return readSync(this.descriptor, bytes, start + done, length - done, this.position)
      }, 0)
      if (count === 0) break
      done += count
    }
    return done
  }

  /** One call, repeated while the pipe is full or empty. Returns its number of bytes. */
  private retry(call: () => number, least: number): number {
    for (;;) {
      try {
        const count = call()
        if (count === 0 && least > 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
        if (this.position !== null) this.position += count
        return count
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EINTR') continue
        if (code !== 'EAGAIN') throw error
      }
      if (sharedMs() > this.deadlineMs)
        throw Object.assign(new Error('ETIMEDOUT'), { code: 'ETIMEDOUT' })
      Atomics.wait(sleeping, 0, 0, PIPE_SLEEP_MS)
    }
  }
}
