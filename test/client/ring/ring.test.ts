// The hash ring alone: its points, its shape, and which keys move when a node comes or goes.

import t from 'tap'
import {
  createRing,
  hashKey,
  ownerOf,
  type RingNode,
  successorsOf,
} from '../../../lib/client/ring/ring.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'

const seed = announceSeed(t)

const nodesOf = (count: number, weight = (_: number) => 1): RingNode[] =>
  Array.from({ length: count }, (_, i) => ({ host: `10.0.0.${i}`, port: 11211, weight: weight(i) }))

t.test('equal nodes have 160 points, except where single precision loses some points', async t => {
  for (const count of [1, 2, 3, 10, 24, 64, 1024]) {
    t.equal(createRing(nodesOf(count)).values.length, 160 * count, `${count} nodes`)
  }
  for (const count of [25, 47, 50, 55, 100]) {
    t.equal(createRing(nodesOf(count)).values.length, 156 * count, `${count} nodes`)
  }
  const unweighted = createRing(nodesOf(25), { kind: 'spymemcached' })
  t.equal(unweighted.values.length, 160 * 25)
})

t.test('points are in order, and each node has its own', async t => {
  const { values, owners } = createRing(nodesOf(30, i => 1 + (i % 5)))
  t.ok(values.every((value, i) => i === 0 || values[i - 1] <= value))
  t.equal(new Set(owners).size, 30)
})

t.test('a key belongs to the first point at or after its hash, with wrap-around', async t => {
  const ring = createRing(nodesOf(7))
  const random = createRandom(seed)
  for (let i = 0; i < 2000; i++) {
    const key = `key-${random.below(2 ** 31)}`
    const hashed = hashKey(ring, key)
    const at = ring.values.findIndex(value => value >= hashed)
    if (ownerOf(ring, key) !== ring.owners[Math.max(at, 0)]) t.fail(key)
  }
  t.equal(ownerOf(createRing([]), 'key'), -1)
})

t.test('a node that comes takes its share of the keys, and no other key moves', async t => {
  // From 24 to 25 nodes each of the others also loses four points: see above.
  for (const count of [1, 3, 10, 23, 63]) {
    const before = createRing(nodesOf(count))
    const after = createRing(nodesOf(count + 1))
    let moved = 0
    const keys = 20_000
    for (let i = 0; i < keys; i++) {
      const [from, to] = [ownerOf(before, `k${i}`), ownerOf(after, `k${i}`)]
      if (from === to) continue
      if (to !== count) t.fail(`k${i} moved from ${from} to ${to}`)
      moved++
    }
    const share = moved / keys
    const wanted = 1 / (count + 1)
    t.ok(share > 0.75 * wanted && share < 1.3 * wanted, `${share} moved, about ${wanted} wanted`)
  }
})

t.test('a heavier node owns more', async t => {
  const ring = createRing(nodesOf(4, i => (i === 0 ? 3 : 1)))
  let owned = 0
  for (let i = 0; i < 20_000; i++) if (ownerOf(ring, `k${i}`) === 0) owned++
  t.ok(owned > 0.42 * 20_000 && owned < 0.58 * 20_000, `${owned} of 20000, about half wanted`)
})

t.test('successors begin with the owner and name each node once', async t => {
  const ring = createRing(nodesOf(5))
  for (let i = 0; i < 500; i++) {
    const found = successorsOf(ring, `k${i}`, 10)
    if (found[0] !== ownerOf(ring, `k${i}`) || new Set(found).size !== 5) t.fail(`k${i}`)
  }
  t.equal(successorsOf(ring, 'k', 2).length, 2)
  t.strictSame(successorsOf(createRing([]), 'k', 2), [])
})

t.test('the next node owns the keys of a node that is gone', async t => {
  const nodes = nodesOf(6)
  const ring = createRing(nodes, { kind: 'spymemcached' })
  for (let i = 0; i < 2000; i++) {
    const [owner, next] = successorsOf(ring, `k${i}`, 2)
    const without = nodes.filter((_, index) => index !== owner)
    const now = without[ownerOf(createRingOnce(without, owner), `k${i}`)]
    if (now.host !== nodes[next].host) t.fail(`k${i}: ${now.host}, ${nodes[next].host}`)
  }
  t.pass('as many times as there were keys')
})

const rings = new Map<number, ReturnType<typeof createRing>>()
function createRingOnce(nodes: RingNode[], gone: number) {
  const known = rings.get(gone) ?? createRing(nodes, { kind: 'spymemcached' })
  rings.set(gone, known)
  return known
}

t.test('a hash tag keeps related keys together', async t => {
  const ring = createRing(nodesOf(20), { hashTag: '{}' })
  t.equal(ownerOf(ring, 'a{user1}b'), ownerOf(ring, 'c{user1}'))
  t.equal(hashKey(ring, 'a{user1}b'), hashKey(ring, 'user1'))
  t.equal(hashKey(ring, 'a{}b'), hashKey(createRing([]), 'a{}b'), 'an empty tag is none')
  t.throws(() => createRing([], { hashTag: '{' }), { code: 'ARGUMENT' })
})

t.test('fnv1a_64 has its published values', async t => {
  const ring = createRing([], { keyHash: 'fnv1a_64' })
  t.equal(hashKey(ring, ''), 0x84222325)
  t.equal(hashKey(ring, 'a'), 0x8601ec8c)
  t.equal(hashKey(ring, 'foobar'), 0xf73967e8)
})

t.test('weights and counts have bounds', async t => {
  for (const weight of [0, -1, 1.5, Number.NaN, 2_000_000]) {
    t.throws(
      () => createRing([{ host: 'a', port: 1, weight }]),
      { code: 'ARGUMENT' },
      String(weight),
    )
  }
})
