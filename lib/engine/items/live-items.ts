// Passes on the live items of a walk. Assumes the arena's lock.

import type { Arena } from '../arena/arena.ts'
import type { Ref } from '../arena/layout.ts'
import { isDead } from './links.ts'
import type { ItemSink } from './walk.ts'

export class LiveItems implements ItemSink {
  sink: ItemSink = this

  take(arena: Arena, ref: Ref): boolean {
    return isDead(arena, ref) || this.sink.take(arena, ref)
  }
}
