// Several copies of each value, against a plain model: whatever happens to one server at a time,
// and whatever is done meanwhile, the pool answers like one cache that never fails.

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { STALE_GONE_MS } from '../../../lib/client/copies/change-journal.ts'
import { Copies } from '../../../lib/client/copies/copies.ts'
import { Hedge } from '../../../lib/client/copies/hedge.ts'
import { Hedged } from '../../../lib/client/copies/hedged.ts'
import type { Keyed } from '../../../lib/client/copies/keyed.ts'
import { Health } from '../../../lib/client/members/health.ts'
import { Members } from '../../../lib/client/members/members.ts'
import type { Hit, StoreMode } from '../../../lib/client/nodes/node.ts'
import { versionOf } from '../../../lib/client/nodes/version.ts'
import { FakeNode } from '../../support/fake-node.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'
import { comesTrue } from '../../support/server-peer.ts'

const seed = announceSeed(t)
const KEYS = Array.from({ length: 12 }, (_, i) => `k${i}`)
const MODES: StoreMode[] = ['set', 'set', 'set', 'add', 'replace', 'append', 'prepend']

interface Pool {
  copies: Copies
  /** The same, and its hedges if it has some. */
  keyed: Keyed
  nodes: FakeNode[]
  members: Members
}

function poolOf(
  owner: { teardown(handler: () => unknown): void },
  count: number,
  hedge?: Hedge,
): Pool {
  const nodes = Array.from({ length: count }, (_, i) => new FakeNode(`server${i}:1`))
  const members = new Members(
    nodes.map((_, i) => ({ host: `server${i}`, port: 1 })),
    {
      createNode: ({ host }) => nodes[Number(host.slice(6))],
      createHealth: () => new Health(3, 5),
      probeMs: 100,
      warmupMs: 0,
    },
  )
  const closing = new AbortController()
  owner.teardown(() => {
    closing.abort()
    members.close()
  })
  const { signal } = closing
  const terms = { members, timeoutMs: 1000, retries: 1, isMissing: false, known: () => undefined }
  const copies = new Copies({ ...terms, copies: 2, signal, hedge })
  const keyed = hedge === undefined ? copies : new Hedged(copies, hedge)
  return { copies, keyed, nodes, members }
}

/** The values of a key's copies. */
function copiesOf({ nodes }: Pool, key: string): string[] {
  return nodes.flatMap(({ items }) => items.get(key)?.value.toString() ?? [])
}

/** Asserts that each item exists at least once with the right value, and nothing else exists. */
function isMended(pool: Pool, model: Map<string, string>): boolean {
  if (!pool.copies.isSettled()) return false
  for (const key of KEYS) {
    const found = copiesOf(pool, key)
    const value = model.get(key)
    if (found.some(text => text !== value) || (found.length === 0) !== (value === undefined)) {
      return false
    }
  }
  return true
}

/** A copy that its server lost exists again after the next write. */
async function writeAgain({ copies }: Pool, model: Map<string, string>): Promise<void> {
  for (const [key, value] of model) {
    const request = { mode: 'set', key, value: Buffer.from(value), flags: 0, exptime: 0 } as const
    await copies.store({ ...request, cas: undefined })
  }
}

/** One random operation on the pool and on the model. Returns the difference. */
async function step(copies: Keyed, model: Map<string, string>, random: Random) {
  const key = KEYS[random.between(0, KEYS.length - 1)]
  const old = model.get(key)
  const what = random.between(0, 9)
  if (what < 4) {
    const mode = MODES[random.between(0, MODES.length - 1)]
    const value = String(random.between(1, 99))
    const isDone = mode === 'set' || (mode === 'add') === (old === undefined)
    const request = { mode, key, value: Buffer.from(value), flags: 0, exptime: 0, cas: undefined }
    if (isDone && mode === 'append') model.set(key, `${old}${value}`)
    else if (isDone && mode === 'prepend') model.set(key, `${value}${old}`)
    else if (isDone) model.set(key, value)
    return [mode, key, await copies.store(request), isDone ? 'STORED' : 'NOT_STORED']
  }
  if (what === 4) {
    const delta = BigInt(random.between(1, 9))
    const initial = random.between(0, 1) === 0 ? undefined : 7n
    const next = old === undefined ? initial : (BigInt(old) + delta) % 2n ** 64n
    if (next !== undefined) model.set(key, String(next))
    const sum = await copies.adjust({ key, delta, subtract: false, initial, exptime: 0 })
    return ['incr', key, String(sum), String(next)]
  }
  if (what === 5) {
    return ['touch', key, await copies.touch(key, 0), model.has(key)]
  }
  if (what === 6) return ['delete', key, await copies.delete(key), model.delete(key)]
  if (what === 7) {
    const hit = await copies.get(key)
    if (hit === undefined) return ['miss', key, hit, old]
    const request = { mode: 'set', key, value: Buffer.from('5'), flags: 0, exptime: 0 } as const
    const cas = versionOf(hit.cas, await hit.life.find(1000))
    const stored = await copies.store({ ...request, cas })
    if (stored === 'STORED') model.set(key, '5')
    return ['cas', key, stored, stored === 'EXISTS' ? 'EXISTS' : 'STORED']
  }
  if (what === 8) {
    const hits = await copies.getMany(KEYS)
    return ['getMany', '', [...textsOf(hits)].sort().join(), [...model].sort().join()]
  }
  return ['get', key, (await copies.get(key))?.value.toString(), old]
}

function textsOf(hits: Map<string, Hit>): Map<string, string> {
  return new Map([...hits].map(([key, hit]) => [key, hit.value.toString()]))
}

t.test('a rewritten value is found, though its earlier copy was stale', async t => {
  const { copies, nodes } = poolOf(t, 2)
  const write = (value: string) => {
    const request = {
      mode: 'set',
      key: 'k',
      value: Buffer.from(value),
      flags: 0,
      exptime: 0,
    } as const
    return copies.store({ ...request, cas: undefined })
  }
  nodes[0].state = 'deaf'
  t.equal(await write('old'), 'STORED')
  nodes[0].state = 'up'
  t.equal(await write('new'), 'STORED')
  nodes[1].state = 'deaf'
  t.ok(await comesTrue(async () => copies.isSettled()), 'nothing is left to remove')
  t.equal(String((await copies.get('k'))?.value), 'new')
})

t.test('a server that left for good is forgotten', async t => {
  const { copies, nodes, members } = poolOf(t, 2)
  nodes[0].state = 'deaf'
  const request = { mode: 'set', key: 'k', value: Buffer.from('v'), flags: 0, exptime: 0 } as const
  await copies.store({ ...request, cas: undefined })
  members.set([{ host: 'server1', port: 1 }])
  t.equal(copies.isSettled(), false)
  const now = performance.now.bind(performance)
  t.intercept(performance, 'now', { value: () => now() + STALE_GONE_MS })
  t.ok(await comesTrue(async () => copies.isSettled()))
})

for (const isHedged of [false, true]) {
  t.test(`one server at a time fails, in any way${isHedged ? ', hedged' : ''}`, async t => {
    const random = createRandom(seed)
    const hedge = isHedged ? new Hedge({ afterMs: 1, percentile: 95, share: 1 }) : undefined
    const pool = poolOf(t, 3, hedge)
    const { keyed, nodes } = pool
    for (const node of isHedged ? nodes : []) node.delay = () => (random.once(8) ? 8 : 0)
    const model = new Map<string, string>()
    for (let round = 0; round < 12; round++) {
      const node = nodes[random.between(0, 2)]
      const done: unknown[] = []
      for (let i = 0; i < 60; i++) {
        // Steps are done one by one: requests in flight when a server fails are tested elsewhere.
        if (i === 15) node.state = random.between(0, 1) === 0 ? 'deaf' : 'mute'
        if (i === 15 && random.between(0, 1) === 0) node.items.clear()
        if (i === 45) node.state = 'up'
        if (i % 20 === 0) await sleep(1)
        const [what, key, got, wanted] = await step(keyed, model, random)
        done.push(`${node.name} ${node.state}: ${what} ${key} ${got}`)
        if (got !== wanted) {
          t.equal(got, wanted, `round ${round}, step ${i}: ${what} ${key}`)
          t.comment(done.slice(-20).join('\n'))
          return
        }
      }
      if (!(await comesTrue(() => isMended(pool, model), 20_000))) {
        t.fail(`round ${round}: copies differ`)
        for (const key of KEYS) t.comment(key, copiesOf(pool, key), model.get(key))
        return
      }
      await writeAgain(pool, model)
    }
    t.pass('as if nothing had failed')
  })
}
