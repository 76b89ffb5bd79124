// The picture of the pages against the counts of the classes.

import t from 'tap'
import { MIB } from '../../../lib/bytes/units.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { Cell, readPages } from '../../../lib/protocol/report/pages.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { createHost, Peer } from '../../support/server-session.ts'

const seed = announceSeed(t)
const MANY = 2 ** 20

t.test('each page has one cell, of the class that has it', async t => {
  const host = createHost({ memoryBytes: 32 * MIB, shards: 2 })
  const peer = new Peer(host)
  const random = createRandom(seed)
  const empty = readPages(host.cache.shards, MANY)
  t.ok(empty.arenas.every(cells => cells.length > 0 && cells.every(cell => cell === Cell.UNUSED)))
  for (let i = 0; i < 3000; i++) {
    const value = 'x'.repeat(random.below(20_000))
    peer.feed(Buffer.from(`set k${i} 0 0 ${value.length}\r\n${value}\r\n`))
    peer.take()
  }
  const { arenas, pagesPerCell } = readPages(host.cache.shards, MANY)
  t.equal(pagesPerCell, 1)
  for (const [index, { arena }] of host.cache.shards.entries()) {
    for (let id = 1; id <= arena.classCount; id++) {
      const pages = arena.words[L.classAt(id) + L.CLASS_PAGE_COUNT]
      t.equal(arenas[index].filter(cell => cell === id).length, pages, `class ${id}`)
    }
    arena.words[L.MOVE_PHASE] = 1
    arena.words[L.MOVE_PAGE] = 3
  }
  const moving = readPages(host.cache.shards, MANY)
  t.ok(moving.arenas.every(cells => cells[3] === Cell.MOVING))
})

t.test('the number of cells has a bound, and each shows the mix of its pages', async t => {
  const { cache } = createHost({ memoryBytes: 64 * MIB, shards: 3 })
  const random = createRandom(seed, 1)
  for (const { arena } of cache.shards) {
    const used = Math.floor(arena.pageCount / 2)
    arena.words[L.PAGES_USED] = used
    for (let page = 0; page < used; page++) {
      arena.words[arena.pagesAt + page] = random.once(4) ? 0 : 1 + random.below(5)
    }
    arena.words[L.MOVE_PHASE] = 1
    arena.words[L.MOVE_PAGE] = random.below(used)
  }
  const exact = readPages(cache.shards, MANY)
  t.equal(exact.movingPages, 3)
  for (const cellsMax of [1, 10, 64, exact.pages - 1, exact.pages]) {
    const { arenas, pagesPerCell, partsPerCell, ...rest } = readPages(cache.shards, cellsMax)
    const cells = arenas.reduce((sum, { length }) => sum + length / partsPerCell, 0)
    t.ok(cells <= cellsMax + arenas.length, `${cells} for ${cellsMax}`)
    t.ok(cells * pagesPerCell >= exact.pages)
    t.equal(rest.freePages, exact.freePages)
    for (const [index, parts] of arenas.entries()) {
      const pages = exact.arenas[index]
      for (let first = 0; first < pages.length; first += pagesPerCell) {
        const at = (first / pagesPerCell) * partsPerCell
        const cell = parts.subarray(at, at + partsPerCell)
        const group = pages.subarray(first, first + pagesPerCell)
        const wrong = wrongOf(cell, group)
        if (wrong !== null) throw new Error(`cell ${at}: ${cell} for ${group}: ${wrong}`)
      }
    }
  }
})

/** Why the parts of a cell are not the mix of its pages; null: they are. */
function wrongOf(parts: Uint8Array, pages: Uint8Array): string | null {
  const shareOf = (codes: Uint8Array, code: number) =>
    codes.filter(other => other === code).length / codes.length
  for (const code of new Set([...parts, ...pages])) {
    const [shown, is] = [shareOf(parts, code), shareOf(pages, code)]
    if (shown > 0 && is === 0) return `it has no ${code}`
    if (code === Cell.MOVING && shown === 0) return 'nothing moves'
    // One part is rounded, another one may be of the page that moves.
    if (Math.abs(shown - is) > 2 / parts.length) return `${shown} of ${code} for ${is}`
  }
  return null
}
