// Bytes that a session discards: a refused value, the rest of a broken line, or a value that is
// collected for a command of its own.

import type { Area } from '../bytes/area.ts'

const LF = 10
const TO_LINE_END = Number.POSITIVE_INFINITY

export class Swallow {
  /** Bytes still to discard. */
  private bytes = 0
  /** The reply once they are gone. */
  private reply: Area | null = null
  /** Collects them here for `take`, instead of discarding them. */
  private collected: Buffer | null = null
  private take: ((value: Buffer) => Area) | null = null

  get isDone(): boolean {
    return this.bytes === 0
  }

  begin(bytes: number, reply: Area | null): void {
    this.bytes = bytes
    this.reply = reply
  }

  beginLine(reply: Area): void {
    this.begin(TO_LINE_END, reply)
  }

  beginCollecting(bytes: number, take: (value: Buffer) => Area): void {
    this.begin(bytes, null)
    this.collected = Buffer.allocUnsafe(bytes)
    this.take = take
  }

  /** Takes what there is in [at, end). Returns how far. */
  eat(input: Area, at: number, end: number): number {
    if (this.bytes === TO_LINE_END) {
      const newline = input.bytes.indexOf(LF, at)
      if (newline < 0 || newline >= end) return end
      this.bytes = 0
      return newline + 1
    }
    const bytes = Math.min(this.bytes, end - at)
    const { collected } = this
    if (collected !== null) {
      input.bytes.copy(collected, collected.length - this.bytes, at, at + bytes)
    }
    this.bytes -= bytes
    return at + bytes
  }

  /** It is done: the reply, or null. */
  end(): Area | null {
    if (this.collected !== null && this.take !== null) {
      this.reply = this.take(this.collected)
      this.collected = null
      this.take = null
    }
    return this.reply
  }
}
