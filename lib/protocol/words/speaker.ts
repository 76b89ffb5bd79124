// How the commands of operators read their words, which are in tokens.ts, and answer.

import type { Area } from '../../bytes/area.ts'
import type { Conversation } from '../conversation.ts'
import { text } from '../reply.ts'
import { tokenCount, tokenEnd, tokenStart } from './tokens.ts'

/** Adds a line to the reply, unless the peer wants none. */
export interface Speaker {
  say(line: Area): void
}

/** A word of the line in hand; empty where there is none. */
export function wordAt(bytes: Buffer, index: number): string {
  return index < tokenCount ? bytes.toString('latin1', tokenStart[index], tokenEnd[index]) : ''
}

/** Whether replies to earlier requests wait to be sent: nothing without end may follow them. */
export function hasRepliesBefore({ host, replyStart }: Conversation): boolean {
  return replyStart > host.reply.start
}

/** A fixed line of a reply. */
export function line(words: string): Area {
  return text(`${words}\r\n`)
}
