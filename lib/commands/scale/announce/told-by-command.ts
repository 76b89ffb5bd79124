// Tells clients by a command of the operator's, with all nodes in its environment.

import { execute } from '../run-program.ts'
import type { Announcer } from './announcer.ts'

export class CommandAnnouncer implements Announcer {
  private readonly words: readonly string[]
  private readonly timeoutMs: number

  constructor(words: readonly string[], timeoutMs: number) {
    this.words = words
    this.timeoutMs = timeoutMs
  }

  async seen(): Promise<null> {
    return null
  }

  async announce(
    nodes: readonly string[],
    leaving: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const env = {
      MEMSLAB_SCALE_ACTION: 'announce',
      MEMSLAB_SCALE_NODES: nodes.join(','),
      MEMSLAB_SCALE_LEAVING: leaving.join(','),
    }
    await execute({ words: this.words, env, timeoutMs: this.timeoutMs, signal })
    return true
  }
}
