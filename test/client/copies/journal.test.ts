// What a server missed while it was away is never read from it, with one copy and with two.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Copies } from '../../../lib/client/copies/copies.ts'
import { OneCopy } from '../../../lib/client/copies/one-copy.ts'
import { Health } from '../../../lib/client/members/health.ts'
import { Members } from '../../../lib/client/members/members.ts'
import { FakeNode } from '../../support/fake-node.ts'
import { comesTrue } from '../../support/server-peer.ts'

/** Changes that a pool remembers for a server. */
const KEYS_MAX = 100

const serverOf = (i: number) => ({ host: `server${i}`, port: 1 })

interface Terms {
  copies?: number
  isMissing?: boolean
  warmupMs?: number
  /** Those of another process. */
  shared?: FakeNode[]
}

function poolOf(t: Test, count: number, terms: Terms) {
  const { copies = 1, isMissing = false, warmupMs = 0, shared } = terms
  const nodes = shared ?? Array.from({ length: count }, (_, i) => new FakeNode(`server${i}:1`))
  const members = new Members(
    nodes.map((_, i) => serverOf(i)),
    {
      createNode: ({ host }) => nodes[Number(host.slice(6))],
      createHealth: () => new Health(1, 5),
      probeMs: 100,
      warmupMs,
    },
  )
  const closing = new AbortController()
  const end = () => {
    closing.abort()
    members.close()
  }
  t.teardown(end)
  const { signal } = closing
  const known = () => undefined
  const journalKeysMax = KEYS_MAX
  const options = { members, journalKeysMax, timeoutMs: 20_000, retries: 1, isMissing, signal }
  const keyed =
    copies === 1 ? new OneCopy({ ...options, known }) : new Copies({ ...options, known, copies })
  const set = (key: string, text: string) => {
    const value = Buffer.from(text)
    return keyed.store({ mode: 'set', key, value, flags: 0, exptime: 0, cas: undefined })
  }
  const get = async (key: string) => (await keyed.get(key))?.value.toString()
  const owner = (key: string) => members.ownerOf(key)?.node as FakeNode
  const eject = async (node: FakeNode) => {
    node.state = 'deaf'
    const isOut = () => members.all().some(m => m.node === node && !m.health.isUp())
    while (!isOut())
      await members
        .on(members.all().find(m => m.node === node) ?? members.all()[0], fake => fake.probe(1))
        .catch(() => {})
  }
  const back = async (...these: FakeNode[]) => {
    for (const node of these) node.state = 'up'
    await comesTrue(() => members.all().every(({ health }) => health.isUp()))
  }
  return { nodes, members, keyed, set, get, owner, eject, back, end }
}

for (const copies of [1, 2]) {
  t.test(`a process that begins in an outage does not know it, copies: ${copies}`, async t => {
    for (const isEmptied of [false, true]) {
      const before = poolOf(t, 3, { copies })
      await before.set('k', 'old')
      const owner = before.owner('k')
      await before.eject(owner)
      await before.set('k', 'new')
      before.end()
      const after = poolOf(t, 3, { copies, shared: before.nodes })
      if (isEmptied) owner.items.clear()
      owner.state = 'up'
      const kept = copies === 1 ? undefined : 'new'
      t.equal(await after.get('k'), isEmptied ? kept : 'old', `emptied: ${isEmptied}`)
    }
  })

  t.test(`an old value does not come back, copies: ${copies}`, async t => {
    const { nodes, keyed, set, get, owner, eject, back } = poolOf(t, 3, { copies })
    await set('k', 'old')
    await set('gone', 'old')
    const [first, second] = [owner('k'), owner('gone')]
    await eject(first)
    await set('k', 'new')
    await back(first)
    t.not(await get('k'), 'old', 'at once')
    t.ok(await comesTrue(() => keyed.isSettled()))
    t.not(await get('k'), 'old', 'later')
    await eject(second)
    await keyed.delete('gone')
    await back(second)
    t.equal(await get('gone'), undefined)
    const texts = nodes.flatMap(({ items }) => [...items.values()].map(({ value }) => `${value}`))
    t.notOk(texts.includes('old'), 'on no server')
  })

  t.test(`what was on loan is not read when its owner fails again, copies: ${copies}`, async t => {
    const { keyed, set, get, owner, eject, back } = poolOf(t, 3, { copies })
    const node = owner('k')
    await eject(node)
    await set('k', 'on loan')
    t.equal(await get('k'), 'on loan')
    await back(node)
    await set('k', 'new')
    t.ok(await comesTrue(() => keyed.isSettled()))
    t.equal(await get('k'), 'new')
    await eject(node)
    t.not(await get('k'), 'on loan')
  })

  t.test(`a change whose outcome is unknown leaves no old value, copies: ${copies}`, async t => {
    for (const state of ['deaf', 'mute'] as const) {
      const { nodes, keyed, set, get, back, eject } = poolOf(t, 2, { copies })
      await set('k', 'old')
      for (const node of nodes) node.state = state
      await t.rejects(set('k', 'new'), { code: 'TIMEOUT' })
      await back(...nodes)
      t.not(await get('k'), 'old', `set, ${state}`)
      await set('k', 'old')
      for (const node of nodes) await eject(node)
      for (const node of nodes) node.state = state
      await t.rejects(keyed.delete('k'), { code: 'TIMEOUT' })
      await back(...nodes)
      t.equal(await get('k'), undefined, `delete, ${state}`)
    }
  })

  t.test(`too much to list costs nobody else an item, copies: ${copies}`, async t => {
    const { nodes, keyed, set, get, owner, eject, back } = poolOf(t, 2, { copies })
    const [first] = nodes
    const keys = Array.from({ length: KEYS_MAX * 5 }, (_, i) => `k${i}`)
    const own = keys.filter(key => owner(key) === first).slice(0, KEYS_MAX + 5)
    t.ok(own.length > KEYS_MAX)
    const [key, last] = [own[0], own[own.length - 1]]
    for (const name of [key, last]) await set(name, 'old')
    await set('theirs', 'x')
    const theirs = first.items.get(key)
    if (theirs !== undefined) first.items.set('of another application', theirs)
    await eject(first)
    await Promise.all(own.map(name => set(name, 'new')))
    await back(first)
    for (const name of [key, last]) {
      const found = await get(name)
      t.ok(found === undefined || found === 'new', `${name}: ${found}`)
    }
    await comesTrue(() => keyed.isSettled())
    await eject(first)
    await set(key, 'lent')
    await back(first)
    await set(key, 'newest')
    await comesTrue(() => keyed.isSettled())
    t.equal(await get(key), 'newest')
    t.ok(first.items.has('of another application'), 'nothing was flushed')
  })

  t.test(`changes that could not be made are failures, copies: ${copies}`, async t => {
    const { nodes, keyed, set, get, owner, eject, back } = poolOf(t, 2, { copies, isMissing: true })
    await set('k', '1')
    const away = copies === 1 ? [owner('k')] : nodes
    for (const node of away) await eject(node)
    t.equal(await get('k'), undefined)
    t.equal((await keyed.getMany(['k'])).size, 0)
    const count = { key: 'k', delta: 1n, subtract: false, initial: undefined, exptime: 0 }
    const failed = { code: 'CONNECTION' }
    await t.rejects(set('k', '2'), failed)
    await t.rejects(keyed.delete('k'), failed)
    await t.rejects(keyed.touch('k', 5), failed)
    await t.rejects(keyed.adjust(count), failed)
    await back(...away)
    t.equal(await get('k'), undefined, 'and the old value is not read')
  })

  t.test(`a server that gets its keys back has them anew, copies: ${copies}`, async t => {
    const { members, set, get, owner, nodes } = poolOf(t, 3, { copies })
    await set('k', 'old')
    const left = owner('k')
    members.set(nodes.flatMap((node, i) => (node === left ? [] : [serverOf(i)])))
    await set('k', 'new')
    members.set(nodes.map((_, i) => serverOf(i)))
    t.not(await get('k'), 'old')
    await set('k', 'newest')
    await sleep(10)
    t.equal(await get('k'), 'newest', 'what is written then stays')
    members.set(nodes.flatMap((node, i) => (node === left ? [] : [serverOf(i)])))
    const found = await get('k')
    t.ok(found === undefined || found === 'newest', `${found}`)
  })
}

for (const isMissing of [false, true]) {
  t.test(`what changed nothing costs no value, keys ${isMissing ? 'miss' : 'go on'}`, async t => {
    const { keyed, set, get, owner, eject, back } = poolOf(t, 2, { isMissing })
    await set('k', 'kept')
    const node = owner('k')
    await eject(node)
    t.equal(await keyed.get('k', 100), undefined)
    const request = { claimS: 1, recacheS: 0 }
    t.equal(await keyed.lease('k', request), undefined)
    const count = { key: 'k', delta: 1n, subtract: false, initial: undefined, exptime: 0 }
    await keyed.touch('k', 100).catch(() => {})
    await keyed.adjust(count).catch(() => {})
    await back(node)
    t.equal(await get('k'), 'kept')
  })
}
