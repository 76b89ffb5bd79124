// As verify.test.ts, for an arena in the middle of a page move, with pages in the pool.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import { type Arena, pageRef } from '../../../lib/engine/arena/arena.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { lock, unlock } from '../../../lib/engine/arena/lock.ts'
import { Cache } from '../../../lib/engine/cache.ts'
import { MovePhase, POOL } from '../../../lib/engine/room/moves.ts'
import { Upkeep } from '../../../lib/engine/upkeep/upkeep.ts'
import { verify } from '../../../lib/engine/verify.ts'
import { Peer } from '../../support/engine-peer.ts'
import { makeValue } from '../../support/engine-values.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)
const STEPS_MAX = 1000
const HEADER = {
  MOVE_PHASE: L.MOVE_PHASE,
  MOVE_FIRST: L.MOVE_FIRST,
  MOVE_END: L.MOVE_END,
  MOVE_PAGE: L.MOVE_PAGE,
  MOVE_USED: L.MOVE_USED,
  MOVE_WITHHELD: L.MOVE_WITHHELD,
  POOL_HEAD: L.POOL_HEAD,
  POOL_COUNT: L.POOL_COUNT,
  PAGES_USED: L.PAGES_USED,
}

for (const phase of [MovePhase.WITHHOLD, MovePhase.EVACUATE] as const) {
  t.test(`a flipped bit in the state of phase ${phase} of a move is noticed`, async t => {
    const arena = createMoving(phase)
    verify(arena)
    const missed: string[] = []
    for (const [name, at] of Object.entries(HEADER)) {
      for (let bit = 0; bit < 32; bit++) {
        if (!notices(arena, at, 1 << bit)) missed.push(`${name} bit ${bit}`)
      }
    }
    const pooled = pageRef(arena, arena.words[L.POOL_HEAD] - 1)
    for (let bit = 0; bit < 32; bit++) {
      if (!notices(arena, pooled, 1 << bit)) missed.push(`the next page of the pool, bit ${bit}`)
    }
    const random = createRandom(seed, phase)
    const withheld = withheldChunks(arena)
    t.ok(withheld.length > 10, `${withheld.length} chunks are withheld`)
    for (let i = 0; i < 100; i++) {
      const bit = random.below(32)
      if (!notices(arena, random.pick(withheld) + L.ITEM_META, 1 << bit)) missed.push(`META ${bit}`)
    }
    t.same(missed, [])
    verify(arena)
  })
}

/** An arena with pages in the pool, and with a page move there stopped in this phase. */
function createMoving(phase: number): Arena {
  const options = {
    memoryBytes: 4 * MIB,
    hashpower: 6,
    automove: 0,
    maintainer: false,
    fitted: false,
  }
  const peer = new Peer(Cache.create(options))
  const { arena, holder } = peer.cache.shards[0]
  const upkeep = new Upkeep(arena)
  const stepUntil = (isDone: () => boolean) => {
    for (let step = 0; !isDone() && step < STEPS_MAX; step++) {
      lock(arena.words, holder)
      upkeep.step()
      unlock(arena.words)
    }
  }
  for (let i = 0; i < 5000; i++) peer.set(`k${i}`, makeValue(i, 100))
  for (let i = 0; i < 5000; i += 2) peer.remove(`k${i}`)
  for (let page = 0; page < 2; page++) {
    peer.cache.reassignPage(-1, POOL)
    stepUntil(() => arena.words[L.MOVE_PHASE] === MovePhase.NONE)
  }
  peer.cache.reassignPage(-1, 9)
  const { words } = arena
  stepUntil(() => words[L.MOVE_PHASE] === phase && words[L.MOVE_CHUNK] > words[L.MOVE_USED] / 4)
  return arena
}

function withheldChunks(arena: Arena): number[] {
  const { words } = arena
  const size = words[L.classAt(words[arena.pagesAt + words[L.MOVE_PAGE]]) + L.CLASS_CHUNK_WORDS]
  const first = pageRef(arena, words[L.MOVE_PAGE])
  const all = Array.from({ length: words[L.MOVE_USED] }, (_, i) => first + i * size)
  return all.filter(chunk => words[chunk + L.ITEM_META] === L.META_WITHHELD)
}

/** Whether verify notices these flipped bits in a word, which are then restored. */
function notices(arena: Arena, at: number, bits: number): boolean {
  arena.words[at] ^= bits
  try {
    verify(arena)
    return false
  } catch {
    return true
  } finally {
    arena.words[at] ^= bits
  }
}
