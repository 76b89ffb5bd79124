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

/** Most parts of a cell: so finely it shows which pages a group has. */
const PARTS_MAX = 4

export interface Pages {
  pageBytes: number
  /** All that are shown; those that no class has; those that are about to leave theirs. */
  pages: number
  freePages: number
  movingPages: number
  /** A cell is so many neighbouring pages, and has this number of parts, each one byte. */
  pagesPerCell: number
  partsPerCell: number
  /**
   * By arena, the parts of each cell: a class or a value of Cell, in the order of these numbers. A
   * group of pages has as many parts of each as its pages, about, but always one that moves.
   */
  arenas: Uint8Array[]
}

/** The pages that the memory limit allows, in at most `cellsMax` cells and one an arena. */
export function readPages(shards: readonly Shard[], cellsMax: number): Pages {
  const arenas = shards.map(({ arena }) => arena)
  const pages = arenas.reduce((sum, arena) => sum + shownPages(arena), 0)
  const pagesPerCell = Math.max(1, Math.ceil(pages / cellsMax))
  const partsPerCell = Math.min(pagesPerCell, PARTS_MAX)
  const codes = arenas.map(readCodes)
  const have = (code: number) => codes.reduce((sum, some) => sum + countOf(some, code), 0)
  return {
    pageBytes: arenas[0].pageWords * 4,
    pages,
    freePages: have(Cell.UNUSED) + have(Cell.POOL),
    movingPages: have(Cell.MOVING),
    pagesPerCell,
    partsPerCell,
    arenas: codes.map(some => grouped(some, pagesPerCell, partsPerCell)),
  }
}

function shownPages(arena: Arena): number {
  return Math.min(arena.pageCount, Math.max(arena.words[L.PAGES_USED], pageRoom(arena)))
}

/** What each page is. */
function readCodes(arena: Arena): Uint8Array {
  const { words, pagesAt } = arena
  const used = words[L.PAGES_USED]
  const codes = new Uint8Array(shownPages(arena))
  for (let page = 0; page < codes.length; page++) {
    const owner = words[pagesAt + page]
    if (owner > 0) codes[page] = owner
    else if (owner < 0) codes[page] = Cell.KEPT
    else codes[page] = page < used ? Cell.POOL : Cell.UNUSED
  }
  if (words[L.MOVE_PHASE] !== 0) codes[words[L.MOVE_PAGE]] = Cell.MOVING
  return codes
}

/** The parts of cells of so many pages. */
function grouped(codes: Uint8Array, pagesPerCell: number, partsPerCell: number): Uint8Array {
  if (pagesPerCell === 1) return codes
  const cells = Math.ceil(codes.length / pagesPerCell)
  const parts = new Uint8Array(cells * partsPerCell)
  for (let cell = 0; cell < cells; cell++) {
    const group = codes.slice(cell * pagesPerCell, (cell + 1) * pagesPerCell).sort()
    const first = cell * partsPerCell
    // The pages in the middle of as many equal parts.
    for (let part = 0; part < partsPerCell; part++) {
      parts[first + part] = group[Math.floor(((part + 0.5) * group.length) / partsPerCell)]
    }
    if (group.at(-1) === Cell.MOVING) parts[first + partsPerCell - 1] = Cell.MOVING
  }
  return parts
}

function countOf(codes: Uint8Array, code: number): number {
  return codes.reduce((sum, other) => sum + (other === code ? 1 : 0), 0)
}
