// Hedged reads: what they give whatever the two servers do, against a pool that does not hedge; how
// many they are; and what is never asked.

import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../../lib/client/cluster.ts'
import { Copies } from '../../../lib/client/copies/copies.ts'
import { Hedge, type HedgeTerms } from '../../../lib/client/copies/hedge.ts'
import { Hedged } from '../../../lib/client/copies/hedged.ts'
import type { Keyed } from '../../../lib/client/copies/keyed.ts'
import { Health } from '../../../lib/client/members/health.ts'
import { Members } from '../../../lib/client/members/members.ts'
import type { PoolHedge } from '../../../lib/doors/channels.ts'
import { CacheError } from '../../../lib/doors/errors.ts'
import { CacheMeter } from '../../../lib/doors/meter.ts'
import { freeze, thaw } from '../../support/freeze.ts'
import { HeldNode, type Outcome } from '../../support/held-node.ts'
import { POOL_KINDS, startPool } from '../../support/pool.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { HOST } from '../../support/process.ts'
import { runs } from '../../support/runs.ts'
import { startScripted } from '../../support/scripted-server.ts'

const seed = announceSeed(t)
const LONG_MS = 20_000
/** Whether something that must not happen does: long enough that it would. */
const QUIET_MS = 40
const AT_ONCE: HedgeTerms = { afterMs: 1, percentile: 95, share: 1 }
const OUTCOMES: Outcome[] = ['hit', 'miss', 'away', 'refused']

interface HeldPool {
  keyed: Keyed
  first: HeldNode
  second: HeldNode
  key: string
  members: Members
}

/** Two servers, and a key that the first of them owns. */
function heldPool(t: Test, terms: HedgeTerms | undefined): HeldPool {
  const nodes = [0, 1].map(i => new HeldNode(`server${i}:1`))
  const members = new Members(
    nodes.map((_, i) => ({ host: `server${i}`, port: 1 })),
    {
      createNode: ({ host }) => nodes[Number(host.slice(6))],
      createHealth: () => new Health(100, 5),
      probeMs: 100,
      warmupMs: 0,
    },
  )
  const closing = new AbortController()
  t.teardown(() => {
    closing.abort()
    members.close()
  })
  const { signal } = closing
  const hedge = terms && new Hedge(terms)
  const known = () => undefined
  const options = { members, timeoutMs: LONG_MS, retries: 0, isMissing: false, known, signal }
  const copies = new Copies({ ...options, copies: 2, hedge })
  const keyed = hedge === undefined ? copies : new Hedged(copies, hedge)
  return { keyed, first: nodes[0], second: nodes[1], key: keysOf(members, nodes[0])[0], members }
}

function keysOf(members: Members, node: HeldNode): string[] {
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`)
  return keys.filter(key => members.ownerOf(key)?.node === node)
}

function hedgesOf(t: Test): PoolHedge[] {
  const heard: PoolHedge[] = []
  const hear = (message: unknown) => heard.push(message as PoolHedge)
  channel('memslab:pool:hedge').subscribe(hear)
  t.teardown(() => channel('memslab:pool:hedge').unsubscribe(hear))
  return heard
}

/** Ways to read a key: what came of it in words. */
const READS: Record<string, (keyed: Keyed, key: string) => Promise<string>> = {
  get: async (keyed, key) => (await keyed.get(key))?.value.toString() ?? 'none',
  getMany: async (keyed, key) => (await keyed.getMany([key])).get(key)?.value.toString() ?? 'none',
}

async function soon(what: string, isTrue: () => boolean): Promise<void> {
  const untilMs = performance.now() + LONG_MS
  while (!isTrue()) {
    if (performance.now() > untilMs) throw new Error(`not in time: ${what}`)
    await sleep(1)
  }
}

function codeOf(error: unknown): string {
  return error instanceof CacheError ? error.code : String(error)
}

/** The outcome of a read that asks one server after the other. */
async function plainly(t: Test, how: string, [first, second]: Outcome[]): Promise<string> {
  const pool = heldPool(t, undefined)
  const read = READS[how](pool.keyed, pool.key).catch(codeOf)
  let isDone = false
  void read.then(() => {
    isDone = true
  })
  await soon('both are answered', () => {
    pool.first.release(first)
    pool.second.release(second)
    return isDone
  })
  return read
}

for (const how of Object.keys(READS)) {
  t.test(`${how}: whatever comes, in any order, as without hedging`, async t => {
    for (const first of OUTCOMES) {
      for (const second of OUTCOMES) {
        const wanted = await plainly(t, how, [first, second])
        const words = `first ${first}, second ${second}`

        const early = heldPool(t, { ...AT_ONCE, afterMs: LONG_MS })
        const read = READS[how](early.keyed, early.key).catch(codeOf)
        await soon('asked', () => early.first.heldCount === 1)
        early.first.release(first)
        if (first !== 'hit' && !(first === 'refused' && how === 'get')) {
          await soon('asked', () => early.second.heldCount === 1)
        }
        early.second.release(second)
        t.equal(await read, wanted, `${words}: the first answers before the hedge`)

        const ahead = heldPool(t, AT_ONCE)
        const raced = READS[how](ahead.keyed, ahead.key).catch(codeOf)
        await soon('both are asked', () => ahead.second.heldCount === 1)
        ahead.first.release(first)
        await sleep(1)
        ahead.second.release(second)
        if (how === 'getMany') {
          // What the hedge had not said by then is asked once more.
          await sleep(1)
          ahead.second.release(second)
        }
        t.equal(await raced, wanted, `${words}: the first answers first`)
        if (how === 'get') t.equal(ahead.second.asked, 1, 'and the second was asked once')

        const behind = heldPool(t, AT_ONCE)
        const hedged = READS[how](behind.keyed, behind.key).catch(codeOf)
        await soon('both are asked', () => behind.second.heldCount === 1)
        behind.second.release(second)
        if (second === 'hit') t.equal(await hedged, behind.second.name, `${words}: it is enough`)
        else {
          await sleep(1)
          t.equal(behind.first.heldCount, 1, `${words}: the first is waited for`)
        }
        behind.first.release(first)
        await sleep(1)
        behind.second.release(second)
        const late = second === 'hit' ? behind.second.name : wanted
        t.equal(await hedged, late, `${words}: the second answers first`)
      }
    }
  })
}

t.test('a late answer changes nothing, and its failure is nobody’s', async t => {
  for (const late of OUTCOMES) {
    const { keyed, first, second, key } = heldPool(t, AT_ONCE)
    const read = keyed.get(key)
    const many = keyed.getMany([key])
    await soon('hedged', () => second.heldCount === 2)
    second.release('hit')
    t.equal((await read)?.value.toString(), second.name)
    const found = await many
    first.release(late)
    await sleep(1)
    t.strictSame(
      [...found].map(([, hit]) => hit.value.toString()),
      [second.name],
    )
    const after = keyed.get(key)
    await soon('asked', () => first.heldCount === 1)
    first.release('hit')
    t.equal((await after)?.value.toString(), first.name, `after a late ${late}`)
  }
})

t.test('many keys: all must have come from the others', async t => {
  const { keyed, first, second, members } = heldPool(t, AT_ONCE)
  const [a, b] = keysOf(members, first)
  const [c] = keysOf(members, second)
  const heard = hedgesOf(t)
  const many = keyed.getMany([a, b, c])
  await soon('each server is asked for its own, and for the other’s', () => {
    return first.heldCount === 2 && second.heldCount === 2
  })
  second.release('hit')
  const values = [...(await many)].map(([key, { value }]) => [key, value.toString()])
  t.strictSame(
    values.sort(),
    [a, b, c].map(key => [key, second.name]).sort(),
    'the owner of c was in time',
  )
  first.release('miss')
  t.match(heard.map(({ keys, outcome }) => `${keys} ${outcome}`).sort(), ['1 lost', '2 won'])
})

t.test('no more than the share is asked on top', async t => {
  const heard = hedgesOf(t)
  const { keyed, first, second, key } = heldPool(t, { ...AT_ONCE, share: 0.1 })
  second.isHolding = false
  second.items.set(key, { value: Buffer.from('v'), flags: 0, cas: 1n, life: second.life, ttlS: -1 })
  for (let i = 1; i <= 100; i++) {
    const read = keyed.get(key)
    await soon('late', () => first.heldCount === 1 && heard.length === i)
    const { outcome } = heard.at(-1) ?? {}
    t.equal(outcome, i % 10 === 0 ? 'won' : 'refused', `read ${i}`)
    first.release('hit')
    t.ok(await read)
  }
  t.equal(second.asked, 10)
})

t.test('what is saved up for hedges has an end', async t => {
  const heard = hedgesOf(t)
  const { first, second, key } = heldPool(t, undefined)
  const hedge = new Hedge({ ...AT_ONCE, share: 1 })
  const member = heldMember(first)
  const ask = (answer: Promise<unknown>) =>
    hedge.isWon({
      ...{ kind: 'one', keys: [key], first: member, seconds: [heldMember(second)], answer },
      ask: async () => true,
    })
  for (let i = 0; i < 300; i++) await ask(Promise.resolve())
  const stuck = new Promise(() => {})
  const many = await Promise.all(
    Array.from({ length: 5 }, () =>
      hedge.isWon({
        ...{ kind: 'many', keys: [key], first: member, answer: Promise.race([stuck, sleep(100)]) },
        seconds: Array.from({ length: 30 }, () => heldMember(second)),
        ask: async () => true,
      }),
    ),
  )
  t.strictSame(many, [true, true, true, false, false], '100 requests, not 300')
  t.equal(heard.filter(({ outcome }) => outcome === 'refused').length, 2)
})

function heldMember(node: HeldNode) {
  return { node, health: new Health(3, 5), busy: 0, hasLeft: false, isProbed: false }
}

t.test('by percentile: after the time that the second server usually takes', async t => {
  const heard = hedgesOf(t)
  const { keyed, first, second, members, key } = heldPool(t, { ...AT_ONCE, afterMs: undefined })
  const [own] = keysOf(members, second)
  for (const node of [first, second]) {
    const { life } = node
    for (const name of [key, own]) {
      node.items.set(name, { value: Buffer.from('v'), flags: 0, cas: 1n, life, ttlS: -1 })
    }
  }
  const unknown = keyed.get(key)
  await sleep(QUIET_MS)
  t.equal(second.asked, 0, 'nothing is known of it yet')
  first.release('hit')
  await unknown
  second.isHolding = false
  second.delay = () => 5
  for (let i = 0; i < 64; i++) await keyed.get(own)
  const read = keyed.get(key)
  await soon('hedged', () => second.asked === 65)
  t.equal((await read)?.value.toString(), 'v')
  t.match(heard, [{ slow: first.name, servers: [second.name], keys: 1, outcome: 'won' }])
  t.ok(heard[0].afterMs >= 4, `${heard[0].afterMs} ms`)
  first.release('hit')
})

t.test('a key that is being changed is asked at its first server alone', async t => {
  const { keyed, first, second, key } = heldPool(t, AT_ONCE)
  first.delay = () => 200
  const request = { mode: 'set', key, value: Buffer.from('new'), flags: 0, exptime: 0 } as const
  const stored = keyed.store({ ...request, cas: undefined })
  const read = keyed.get(key)
  await sleep(QUIET_MS)
  t.equal(second.asked, 0, 'while it is stored')
  await stored
  first.release('hit')
  t.equal((await read)?.value.toString(), 'new')
  const after = keyed.get(key)
  await soon('hedged again', () => second.heldCount === 1)
  second.release('hit')
  t.equal((await after)?.value.toString(), 'new')
  first.release('hit')
})

t.test('a stale copy is not asked', async t => {
  const { keyed, first, second, key } = heldPool(t, AT_ONCE)
  const store = (text: string) => {
    const request = { mode: 'set', key, value: Buffer.from(text), flags: 0, exptime: 0 } as const
    return keyed.store({ ...request, cas: undefined })
  }
  await store('old')
  second.state = 'deaf'
  await store('new')
  const read = keyed.get(key)
  await sleep(QUIET_MS)
  t.equal(second.asked, 0)
  first.release('hit')
  t.equal((await read)?.value.toString(), 'new')
})

t.test('calls beside each other, on servers that are slow by turns, against a model', async t => {
  const random = createRandom(seed)
  const { keyed, first, second, members } = heldPool(t, AT_ONCE)
  const nodes = [first, second]
  for (const node of nodes) {
    node.isHolding = false
    node.delay = () => (random.once(2) ? 0 : random.between(2, 20))
  }
  const [key] = keysOf(members, first)
  /** The last version whose store began, and the last one that a call that has ended shows. */
  let begun = 0
  let shown = 0
  let hedges = 0
  const count = () => hedges++
  channel('memslab:pool:hedge').subscribe(count)
  t.teardown(() => channel('memslab:pool:hedge').unsubscribe(count))
  const write = async () => {
    const version = ++begun
    const value = Buffer.from(String(version))
    const request = { mode: 'set', key, value, flags: 0, exptime: 0, cas: undefined } as const
    t.equal(await keyed.store(request), 'STORED')
    shown = Math.max(shown, version)
  }
  const read = async () => {
    const least = shown
    const hit = random.once(2) ? await keyed.get(key) : (await keyed.getMany([key])).get(key)
    const version = Number(hit?.value.toString())
    if (!(version >= least && version <= begun)) {
      t.fail(`read ${version} after ${least} was seen, ${begun} begun`)
    }
    shown = Math.max(shown, version)
  }
  await write()
  const reading = async (end: () => boolean) => {
    while (!end()) await read()
  }
  let isOver = false
  const readers = Array.from({ length: 8 }, () => reading(() => isOver))
  for (let i = 0; i < runs(40, 1000); i++) {
    await write()
    await sleep(random.between(0, 6))
  }
  isOver = true
  await Promise.all(readers)
  t.ok(hedges > 0, `${hedges} hedges`)
})

t.test('a call under a signal ends at once, and its late answers are nobody’s', async t => {
  const held: (() => void)[] = []
  const answer = (value: string) => `VA ${value.length} f0 t-1 c5\r\n${value}\r\n`
  let isHolding = true
  const servers = await Promise.all(
    ['one', 'two'].map(name =>
      startScripted(t, (line, socket) => {
        if (!line.startsWith('mg')) return 'MN\r\n'
        const reply = () => socket.write(answer(isHolding ? 'late' : name))
        if (isHolding) held.push(reply)
        else reply()
        return undefined
      }),
    ),
  )
  const names = servers.map(({ port }) => `${HOST}:${port}`)
  const options = { replicas: 2, timeoutMs: LONG_MS, hedge: { afterMs: 1, share: 1 } }
  const pool = new ClusterClient(names, options)
  t.teardown(() => pool.close())
  const key = Array.from({ length: 100 }, (_, i) => `k${i}`).find(
    key => pool.ownerOf(key) === names[0],
  )
  const ending = new AbortController()
  const read = pool.withSignal(ending.signal).get(key ?? '')
  await soon('both are asked', () => held.length === 2)
  ending.abort(new Error('enough'))
  await t.rejects(read, { message: 'enough' })
  await t.rejects(pool.withSignal(ending.signal).get(key ?? ''), { message: 'enough' })
  t.equal(held.length, 2, 'what begins later is not sent')
  isHolding = false
  const next = pool.get(key ?? '')
  for (const reply of held) reply()
  t.equal(await next, 'one', 'not what came for the call before')
})

t.test('calls in flight end with the pool', async t => {
  const servers = await Promise.all([1, 2].map(() => startScripted(t, () => undefined)))
  const names = servers.map(({ port }) => `${HOST}:${port}`)
  const options = { replicas: 2, timeoutMs: LONG_MS, hedge: { afterMs: 1, share: 1 } }
  const pool = new ClusterClient(names, options)
  const reads = ['a', 'b', 'c'].map(key => pool.get(key).catch(codeOf))
  await soon('all are asked', () => servers.every(({ lines }) => lines.length === 3))
  await pool.close()
  t.strictSame(await Promise.all(reads), ['CLOSED', 'CLOSED', 'CLOSED'])
})

for (const kind of POOL_KINDS) {
  t.test(`a server that stands still keeps nobody waiting, ${kind.name}`, kind, async t => {
    const options = { replicas: 2, timeoutMs: LONG_MS, hedge: { afterMs: 5, share: 1 } }
    const { client, servers } = await startPool(t, kind, 2, options)
    const meter = new CacheMeter()
    t.teardown(() => meter.close())
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    for (const key of keys) await client.set(key, `of ${key}`)
    await freeze(t, servers[0].pid)
    const beganMs = performance.now()
    for (const key of keys) t.equal(await client.get(key), `of ${key}`)
    t.equal((await client.getMany(keys)).size, keys.length)
    t.ok(performance.now() - beganMs < LONG_MS, 'long before the deadline')
    const { hedges } = meter.read()
    t.ok(hedges.won >= 2 && hedges.sent >= hedges.won, JSON.stringify(hedges))
    t.strictSame(client.away(), [], 'it is late, not dead')
    thaw(servers[0].pid)
    for (const key of keys) t.equal(await client.get(key), `of ${key}`)
  })
}

t.test('options', async t => {
  const poolOf = (hedge: object, replicas = 2) =>
    new ClusterClient([`${HOST}:1`], { replicas, hedge })
  const wrong: [object, RegExp, number?][] = [
    [{}, /replicas: at least 2 for hedge, not 1/, 1],
    [{ afterMs: 0 }, /afterMs: a number/],
    [{ afterMs: '5' }, /afterMs: a number/],
    [{ percentile: 49 }, /percentile: a number/],
    [{ percentile: 100 }, /percentile: a number/],
    [{ share: 0 }, /share: a number/],
    [{ share: 1.1 }, /share: a number/],
    [{ afterMs: 5, percentile: 95 }, /hedge.percentile: none beside afterMs, not 95/],
    [{ after: 5 }, /after/],
    [[], /options: an object/],
  ]
  for (const [hedge, message, replicas] of wrong) {
    t.throws(() => poolOf(hedge, replicas), { code: 'ARGUMENT', message }, JSON.stringify(hedge))
  }
  for (const hedge of [{}, { afterMs: 1, share: 1 }, { percentile: 99.9, share: 0.01 }]) {
    poolOf(hedge).close()
  }
  t.pass('right ones')
})
