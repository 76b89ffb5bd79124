// How operators' commands read their words (tokens.ts) and reply.

import type { Area } from '../../bytes/area.ts'
import type { Conversation } from '../conversation.ts'
import { text } from '../reply.ts'
import { tokenCount, tokenEnd, tokenStart } from './tokens.ts'

/** Adds a line to the reply, unless the peer said noreply. */
export interface Speaker {
  say(line: Area): void
}

/** A word of the current line; empty if there is none. */
export function wordAt(bytes: Buffer, index: number): string {
  return index < tokenCount ? bytes.toString('latin1', tokenStart[index], tokenEnd[index]) : ''
}

/** Whether replies to earlier requests wait to be sent: then no endless reply may follow. */
export function hasRepliesBefore({ host, replyStart }: Conversation): boolean {
  return replyStart > host.reply.start
}

/** A fixed line of a reply. */
export function line(words: string): Area {
  return text(`${words}\r\n`)
}
