/**
 * Options that change replies: the same bytes to memcached and to memslab, both started with the
 * same arguments.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { compare, describe, type Pair, runScript, startPair } from '../support/differential.ts'
import { skipWithout } from '../support/oracle.ts'
import { statsOf } from '../support/server-peer.ts'

const skip = skipWithout('memcached')

// No flush here: without CAS memcached also flushes what is stored later in the same second.
const CAS_STEPS = [
  'set k 0 0 1\r\n1\r\ngets k\r\n',
  'cas k 0 0 1 0\r\n2\r\ncas k 0 0 1 1\r\n2\r\ncas none 0 0 1 0\r\n2\r\n',
  'gets k none\r\ngats 0 k\r\nincr k 1\r\nappend k 0 0 1\r\n0\r\ngets k\r\n',
]
const META_STEPS = [
  'ms k 1 c\r\n1\r\nmg k c v\r\nms k 1 C0\r\n2\r\nms k 1 C1\r\n2\r\nmg k c v\r\n',
  'ma k c v\r\nma k C1\r\nmd k C3\r\nmg k v\r\nmd k q\r\nmn\r\nmg k v\r\n',
]
const FLUSH_STEPS = [
  'set k 0 0 1\r\n1\r\nflush_all\r\nget k\r\nflush_all 0\r\nflush_all noreply\r\nget k\r\n',
  'flush_all 1 noreply\r\nflush_all x\r\nget k\r\n',
]

const STORED = ['a', 'b', 'c', 'd', 'e', 'f']
const FINDS_ENDED = 'get a b\r\ngat 0 c\r\ntouch d 0\r\ndelete e\r\nincr f 1\r\nget a\r\n'

/** Rows of stats that must agree after the steps of a case. */
const CASES: [args: string[], steps: string[], stats: string[]][] = [
  [['-C'], CAS_STEPS, ['cas_hits', 'cas_misses', 'cas_badval', 'cmd_set', 'get_hits']],
  [['-C', '-o', 'track_sizes'], CAS_STEPS, ['cas_badval']],
  [['-C', '-o', 'no_lru_crawler'], META_STEPS, ['cas_badval', 'cas_hits']],
  [['-F'], FLUSH_STEPS, ['cmd_flush', 'get_hits', 'get_misses']],
  [['-R', '1'], ['get k\r\n'.repeat(500), 'set k 0 0 1\r\n1\r\nget k\r\n'], ['cmd_get']],
]

for (const [args, steps, stats] of CASES) {
  t.test(`with ${args.join(' ')}`, { skip }, async t => {
    const pair = await startPair(t, args)
    const found = await compare(pair, { steps })
    t.equal(found === undefined ? undefined : describe(found), undefined, 'the same replies')
    const [theirs, ours] = await Promise.all(
      [pair.oracle, pair.daemon].map(({ port }) => statsOf(port)),
    )
    for (const name of stats) t.equal(ours.get(name), theirs.get(name), name)
  })
}

t.test('with -F further words of flush_all change nothing, as in 1.6.45', async t => {
  const daemon = await startDaemon(t, ['-F'])
  const { replies } = await runScript(daemon.port, { steps: ['flush_all 1 2 3\r\n'] })
  t.same(replies, ['CLIENT_ERROR flush_all not allowed\r\n'])
  t.equal((await statsOf(daemon.port)).get('cmd_flush'), '1')
})

t.test('expired items that a request meets are counted', { skip }, async t => {
  // Nothing in the background meets the items before the requests do. A store might, since
  // memcached reclaims expired items for it: so no marks between the steps.
  const pair = await startPair(t, ['-o', 'no_lru_crawler,no_lru_maintainer,no_slab_reassign'])
  const run = (text: string) => compare(pair, { steps: [text], raw: true })
  const storesFor = (exptime: number) => STORED.map(key => `set ${key} 0 ${exptime} 1\r\n1\r\n`)
  t.equal(await run(storesFor(1).join('')), undefined)
  await sleep(2_200)
  t.equal(await run(FINDS_ENDED), undefined)
  await sameCounters(t, pair, 6, 0)
  t.equal(await run(storesFor(9).join('')), undefined)
  t.equal(await run(`flush_all\r\n${FINDS_ENDED}`), undefined)
  await sameCounters(t, pair, 6, 6)
  t.equal(await run('stats reset\r\n'), undefined)
  await sameCounters(t, pair, 0, 0)
})

async function sameCounters(t: Test, pair: Pair, expired: number, flushed: number) {
  const [theirs, ours] = await Promise.all(
    [pair.oracle, pair.daemon].map(({ port }) => statsOf(port)),
  )
  t.equal(ours.get('get_expired'), `${expired}`, 'get_expired')
  t.equal(ours.get('get_flushed'), `${flushed}`, 'get_flushed')
  for (const name of ['get_expired', 'get_flushed', 'get_hits', 'get_misses', 'touch_misses']) {
    t.equal(ours.get(name), theirs.get(name), name)
  }
}
