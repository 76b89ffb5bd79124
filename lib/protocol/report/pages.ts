// The pages of all arenas as a picture: for each what has it. Read without the arenas' locks.

import type { Arena } from '../../engine/arena/arena.ts'
import * as L from '../../engine/arena/layout.ts'
import { pageRoom } from '../../engine/chunks/slabs.ts'
import type { Shard } from '../../engine/shard.ts'

/** Cells that are no class. */
export const Cell = {
  /** Never used. */
  UNUSED: 0,
  /** In the pool, from which all classes take. */
  POOL: 253,
  /** Kept for values on their way, from before the arena was emptied. */
  KEPT: 254,
  /** About to leave its class. */
  MOVING: 255,
} as const

export interface Pages {
  pageBytes: number
  /** A cell is the first of this number of neighbouring pages. */
  pagesPerCell: number
  /** One byte a cell: a class, or a value of Cell. */
  arenas: Uint8Array[]
}

/** The pages that the memory limit allows, in at most `cellsMax` cells and one an arena. */
export function readPages(shards: readonly Shard[], cellsMax: number): Pages {
  const arenas = shards.map(({ arena }) => arena)
  const pages = arenas.reduce((sum, arena) => sum + shownPages(arena), 0)
  const pagesPerCell = Math.max(1, Math.ceil(pages / cellsMax))
  return {
    pageBytes: arenas[0].pageWords * 4,
    pagesPerCell,
    arenas: arenas.map(arena => readCells(arena, pagesPerCell)),
  }
}

function shownPages(arena: Arena): number {
  return Math.min(arena.pageCount, Math.max(arena.words[L.PAGES_USED], pageRoom(arena)))
}

function readCells(arena: Arena, pagesPerCell: number): Uint8Array {
  const { words, pagesAt } = arena
  const used = words[L.PAGES_USED]
  const cells = new Uint8Array(Math.ceil(shownPages(arena) / pagesPerCell))
  for (let cell = 0; cell < cells.length; cell++) {
    const page = cell * pagesPerCell
    const owner = words[pagesAt + page]
    if (owner > 0) cells[cell] = owner
    else if (owner < 0) cells[cell] = Cell.KEPT
    else cells[cell] = page < used ? Cell.POOL : Cell.UNUSED
  }
  if (words[L.MOVE_PHASE] !== 0) {
    cells[Math.floor(words[L.MOVE_PAGE] / pagesPerCell)] = Cell.MOVING
  }
  return cells
}
