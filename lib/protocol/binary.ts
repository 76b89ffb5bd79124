// The binary protocol: parses a frame, has execute.ts do what it means, prints the response.

import type { Area } from '../engine/bytes.ts'
import type { Status } from '../engine/status.ts'
import * as B from './binary-layout.ts'
import { BinaryStatus } from './binary-layout.ts'
import { type Conversation, NEED_MORE, type Protocol, State } from './conversation.ts'
import { type Reply, text } from './reply.ts'

const UNKNOWN_COMMAND = text('Unknown command')

export class BinaryProtocol implements Protocol {
  private readonly peer: Conversation
  private readonly reply: Reply

  constructor(peer: Conversation) {
    this.peer = peer
    this.reply = peer.host.reply
  }

  command(input: Area, at: number, end: number): number {
    if (end - at < B.HEADER_BYTES) return NEED_MORE
    if (input.bytes[at] !== B.REQUEST_MAGIC) {
      this.peer.state = State.ENDED
      return end
    }
    this.printError(input, at, BinaryStatus.UNKNOWN_COMMAND, UNKNOWN_COMMAND)
    this.peer.swallow(input.view.getUint32(at + B.BODY_BYTES), null)
    return at + B.HEADER_BYTES
  }

  keys(_input: Area, at: number, _end: number): number {
    return at
  }

  endSending(): void {}

  endFilling(_input: Area, at: number, _end: number): number {
    return at
  }

  refuse(_status: Status, bytes: number): void {
    this.peer.swallow(bytes, null)
  }

  say(reply: Area): void {
    this.reply.add(reply)
  }

  private printError(input: Area, at: number, status: BinaryStatus, words: Area): void {
    const { reply } = this
    const { bytes, view } = reply.area
    const start = reply.length
    bytes.fill(0, start, start + B.HEADER_BYTES)
    bytes[start] = B.RESPONSE_MAGIC
    bytes[start + B.OPCODE] = input.bytes[at + B.OPCODE]
    view.setUint16(start + B.STATUS, status)
    view.setUint32(start + B.BODY_BYTES, words.bytes.length)
    view.setUint32(start + B.OPAQUE, input.view.getUint32(at + B.OPAQUE))
    reply.length += B.HEADER_BYTES
    reply.add(words)
  }
}
