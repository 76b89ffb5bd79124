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

t.test('the number of cells has a bound', async t => {
  const { cache } = createHost({ memoryBytes: 64 * MIB, shards: 3 })
  const all = readPages(cache.shards, MANY).arenas.reduce((sum, { length }) => sum + length, 0)
  for (const cellsMax of [1, 10, 64, all - 1, all]) {
    const { arenas, pagesPerCell } = readPages(cache.shards, cellsMax)
    const cells = arenas.reduce((sum, { length }) => sum + length, 0)
    t.ok(cells <= cellsMax + arenas.length, `${cells} for ${cellsMax}`)
    t.ok(cells * pagesPerCell >= all)
  }
})
