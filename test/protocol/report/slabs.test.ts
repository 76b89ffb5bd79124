// `stats slabs` where two arenas have fitted different chunk sizes to one class number.

import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { MIB } from '../../../lib/bytes/units.ts'
import { type Arena, chunkWords } from '../../../lib/engine/arena/arena.ts'
import * as L from '../../../lib/engine/arena/layout.ts'
import { FIT_EVERY, FIT_SAMPLES } from '../../../lib/engine/limits.ts'
import type { Host } from '../../../lib/protocol/host.ts'
import { createHost, Peer, verifyAll } from '../../support/server-session.ts'

/** Value sizes of the two arenas. */
const SIZES = [100, 700]
const STORES = 4 * FIT_SAMPLES * FIT_EVERY
const TURNS = 50

t.test('chunks are counted by the class that each arena has fitted', async t => {
  const host = createHost({ memoryBytes: 16 * MIB, shards: 2, fitted: true })
  const peer = new Peer(host)
  fill(host, peer)
  const arenas = host.cache.shards.map(({ arena }) => arena)
  const own = arenas[0].baseClasses + 1
  const [first, second] = arenas.map(arena => chunkWords(arena, own))
  t.ok(first > 0 && second > 0 && first !== second, `chunks of ${first} and ${second} words`)
  const slabs = statsOf(peer, 'stats slabs')
  const items = statsOf(peer, 'stats items')
  let used = 0
  for (let id = 1; id <= arenas[0].classCount; id++) {
    const of = (name: string) => slabs.get(`${id}:${name}`) ?? 0
    const pages = arenas.reduce((sum, arena) => sum + pagesOf(arena, id), 0)
    const chunks = arenas.reduce((sum, arena) => sum + pagesOf(arena, id) * perPage(arena, id), 0)
    t.same([of('total_pages'), of('total_chunks')], [pages, chunks], `class ${id}`)
    t.equal(of('used_chunks') + of('free_chunks'), chunks)
    t.equal(of('used_chunks'), items.get(`items:${id}:number`) ?? 0, 'a chunk an item')
    used += of('used_chunks')
  }
  t.equal(used, statsOf(peer, 'stats').get('curr_items'))
  const larger = pagesOf(arenas[1], own) > pagesOf(arenas[0], own) ? arenas[1] : arenas[0]
  t.equal(slabs.get(`${own}:chunk_size`), chunkWords(larger, own) * 4, 'of the one with most pages')
  const pages = [...slabs].filter(([name]) => name.endsWith(':total_pages'))
  const pageSum = pages.reduce((sum, [, count]) => sum + count, 0)
  t.equal(slabs.get('total_malloced'), pageSum * arenas[0].pageWords * 4)
  verifyAll(host)
})

/** Stores items of another size in each arena, with upkeep, until both have fitted classes. */
function fill({ cache }: Host, peer: Peer): void {
  for (let i = 0; i < STORES; i++) {
    const key = `k${i}`
    const hash = cache.hash(new Area(Buffer.from(key)), 0, key.length)
    const index = cache.shards.indexOf(cache.shardOf(hash))
    const value = 'v'.repeat(SIZES[index])
    peer.feed(Buffer.from(`set ${key} 0 0 ${value.length} noreply\r\n${value}\r\n`))
    if (i % 1000 !== 0) continue
    for (let turn = 0; turn < TURNS; turn++) for (const at of cache.shards.keys()) cache.upkeep(at)
  }
}

function pagesOf({ words }: Arena, classId: number): number {
  return words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
}

function perPage({ words }: Arena, classId: number): number {
  return words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE]
}

function statsOf(peer: Peer, command: string): Map<string, number> {
  peer.feed(Buffer.from(`${command}\r\n`))
  const lines =
    peer
      .take()
      .toString('latin1')
      .match(/STAT .*/g) ?? []
  return new Map(lines.map(line => [line.split(' ')[1], Number(line.split(' ')[2])]))
}
