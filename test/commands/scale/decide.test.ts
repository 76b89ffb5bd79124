// Policies, windows, cooldowns, bounds, and which node leaves.

import t from 'tap'
import { parseConfig } from '../../../lib/commands/scale/config/file.ts'
import type { Config } from '../../../lib/commands/scale/config/schema.ts'
import { Schedule } from '../../../lib/commands/scale/decide/bounds.ts'
import { Decider } from '../../../lib/commands/scale/decide/decide.ts'
import type { Figures, NodeLook } from '../../../lib/commands/scale/decide/look.ts'
import { leastLoss } from '../../../lib/commands/scale/decide/loss.ts'
import { wantsOf } from '../../../lib/commands/scale/decide/policies.ts'
import { announceSeed, createRandom } from '../../support/prng.ts'
import { runs } from '../../support/runs.ts'

const EVERY_MS = 10_000
const BOUNDS = { least: 1, most: 20 }
const START_MS = Date.UTC(2026, 10, 30)

function config(policies: string, more = ''): Config {
  return parseConfig(
    'it.yaml',
    `least: 1\nmost: 20\nevery: ${EVERY_MS}ms\npolicies: ${policies}\nwindow: { out: 30s, in: 1m }\n` +
      `cooldown: { out: 1m, in: 3m }\nstep: 3\n${more}\ndriver: { processes: { dir: d } }\n`,
  )
}

function figures(given: Partial<Figures>): Figures {
  const rates = { cpu: 0, evictions: 0, hits: 0 }
  const sizes = { connections: 0, items: 0, bytes: 0, limitBytes: 1000 }
  return { ...rates, ...sizes, curve: null, ...given }
}

function pool(count: number, given: Partial<Figures> | null): NodeLook[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `n:${index + 1}`,
    figures: given === null ? null : figures(given),
  }))
}

const wantOf = (nodes: NodeLook[], policies: string, more = '') => {
  return wantsOf(nodes, config(policies, more))
}

t.test('targets: the sum over the pool by the target of a node', async t => {
  const cases: readonly [policies: string, given: Partial<Figures>, nodes: number][] = [
    ['{ cpu: 60 }', { cpu: 61 }, 5],
    ['{ cpu: 60 }', { cpu: 60 }, 4],
    ['{ cpu: 60 }', { cpu: 100 }, 7],
    ['{ cpu: 60 }', { cpu: 41 }, 4],
    // Three would be at 54, the target less the slack.
    ['{ cpu: 60 }', { cpu: 40.5 }, 3],
    ['{ cpu: 60 }', { cpu: 0 }, 1],
    ['{ connections: 1000 }', { connections: 1300 }, 6],
    ['{ memory: 80 }', { bytes: 900 }, 5],
    ['{ evictions: 10 }', { evictions: 30 }, 12],
  ]
  for (const [policies, given, nodes] of cases) {
    const [want] = wantOf(pool(4, given), policies)
    t.match(want, { nodes, isComplete: true }, `${policies} ${JSON.stringify(given)}`)
  }
})

t.test('room: fewer only where the items fit', async t => {
  const roomOf = (bytes: number) => wantOf(pool(4, { bytes }), '{ cpu: 60 }')[1]
  t.match(roomOf(675), { policy: 'room', nodes: 3 })
  t.match(roomOf(676), { policy: 'room', nodes: 4 })
  t.equal(wantOf(pool(4, {}), '{ cpu: 60 }', 'room: 0').length, 1)
})

t.test('the curve: what another node brings, and what one fewer costs', async t => {
  const wanted = (points: [number, number][], lookups = 50_000, count = 4) => {
    const curve = { lookups, points }
    return wantOf(pool(count, { curve }), '{ curve: { gain: 1, loss: 0.5 } }')
  }
  // A quarter more memory is log2(1.25) = 0.32 of the way to twice the memory.
  const rows: readonly [half: number, twice: number, nodes: number][] = [
    [80, 94, 5],
    [80, 93, 4],
    [89, 90.5, 3],
  ]
  for (const [half, twice, nodes] of rows) {
    const points: [number, number][] = [
      [0.5, half],
      [1, 90],
      [2, twice],
    ]
    t.match(wanted(points)[0], { nodes, policy: 'curve' }, `${half} ${twice}`)
  }
  t.match(wanted([[1, 90]])[0], { nodes: null, isComplete: false })
  const above: [number, number][] = [
    [1, 90],
    [2, 91],
  ]
  t.equal(wanted(above)[0].nodes, 4, 'what fewer costs is not known')
  t.equal(wanted(above).length, 1, 'it takes the place of room')
  const half = pool(2, {})
  half[0].figures = figures({
    curve: {
      lookups: 1e5,
      points: [
        [0.5, 89],
        [1, 90],
        [2, 90],
      ],
    },
  })
  t.match(wantOf(half, '{ curve: { gain: 1, loss: 0.5 } }')[0], { isComplete: false })
})

/** Looks every ten seconds at pools that `nodesAt` gives; the changes are made at once. */
function simulate(
  settings: Config,
  count: number,
  looks: number,
  nodesAt: (look: number, count: number) => NodeLook[],
): string[] {
  const decider = new Decider(settings, START_MS)
  const changes: string[] = []
  let nodes = count
  for (let look = 0; look < looks; look++) {
    const nowMs = START_MS + look * EVERY_MS
    const { kind, to } = decider.decide(nodesAt(look, nodes), BOUNDS, nowMs, true)
    if (kind === 'hold') continue
    changes.push(`${look} ${kind} ${to}`)
    nodes = to
    decider.changed(kind, nowMs)
  }
  return changes
}

t.test('out after its window, by at most a step, then a cooldown', async t => {
  const total = 720
  const changes = simulate(config('{ cpu: 60 }'), 2, 20, (_, count) => {
    return pool(count, { cpu: total / count })
  })
  t.strictSame(changes, ['3 out 5', '9 out 8', '15 out 11'])
})

t.test('in after its window and its cooldown, one node at a time', async t => {
  const changes = simulate(config('{ cpu: 60 }'), 5, 60, (_, count) => {
    return pool(count, { cpu: 100 / count })
  })
  t.strictSame(changes, ['18 in 4', '36 in 3', '54 in 2'])
})

t.test('out if any policy wants it, in only if all do', async t => {
  const settings = config('{ cpu: 60, connections: 100 }')
  const at = (cpu: number, connections: number) =>
    simulate(settings, 4, 40, (_, count) => {
      return pool(count, { cpu: cpu / count, connections: connections / count })
    })
  t.strictSame(at(100, 500).slice(0, 1), ['3 out 5'])
  t.strictSame(at(300, 100).slice(0, 1), ['3 out 5'])
  t.strictSame(at(100, 400), [], 'connections hold it')
  t.strictSame(at(100, 100).slice(0, 1), ['18 in 3'])
})

t.test('what is not known wants no fewer, of any node, and may want more', async t => {
  const settings = config('{ cpu: 60 }')
  const dark = (cpu: number) => (_: number, count: number) => {
    return pool(count, { cpu }).map((look, index) =>
      index === 0 ? { ...look, figures: null } : look,
    )
  }
  t.strictSame(simulate(settings, 4, 100, dark(1)), [])
  t.strictSame(simulate(settings, 4, 4, dark(70)), ['3 out 5'])
  t.strictSame(
    simulate(settings, 4, 100, (_, count) => pool(count, null)),
    [],
  )
  t.strictSame(
    simulate(settings, 4, 100, (_, count) => pool(count, { cpu: null })),
    [],
    'rates need two looks',
  )
})

t.test('one look that is unlike the others changes nothing', async t => {
  const settings = config('{ cpu: 60 }')
  const spiky = (usual: number, other: number) => (look: number, count: number) => {
    return pool(count, { cpu: (look % 3 === 2 ? other : usual) / count })
  }
  t.strictSame(simulate(settings, 4, 100, spiky(200, 1000)), [], 'peaks')
  t.strictSame(simulate(settings, 4, 100, spiky(400, 10)), [], 'gaps in a high load')
  t.strictSame(simulate(settings, 4, 100, spiky(50, 230)), [], 'peaks keep it')
})

t.test('after looks that were missed it begins again', async t => {
  const decider = new Decider(config('{ cpu: 60 }'), START_MS)
  const at = (s: number) =>
    decider.decide(pool(2, { cpu: 90 }), BOUNDS, START_MS + s * 1000, true).kind
  t.strictSame([0, 10, 20, 100, 110, 120, 130].map(at), [
    ...['hold', 'hold', 'hold', 'hold', 'hold', 'hold'],
    'out',
  ])
})

t.test('least and most need no window, and count before all policies', async t => {
  const settings = config('{ cpu: 60 }')
  const at = (count: number, cpu: number, isSteady = true) =>
    new Decider(settings, START_MS).decide(
      pool(count, { cpu }),
      { least: 3, most: 5 },
      START_MS,
      isSteady,
    )
  t.match(at(1, 0), { kind: 'out', to: 3 })
  t.match(at(0, 0), { kind: 'out', to: 3 })
  t.match(at(8, 100), { kind: 'in', to: 7 })
  t.match(at(8, 100, false), { kind: 'hold' })
  t.match(at(5, 100), { kind: 'hold', reason: 'at most' })
  t.match(at(3, 0), { kind: 'hold', reason: 'at least' })
})

t.test('constant loads come to rest within the bounds, whatever the numbers', async t => {
  const seed = announceSeed(t)
  for (let round = 0; round < runs(300, 20_000); round++) {
    const random = createRandom(seed, round)
    const target = random.between(10, 90)
    const total = random.between(1, 1500)
    const start = random.between(1, 20)
    const settings = config(`{ cpu: ${target} }`, `slack: ${random.between(1, 40)}`)
    const changes = simulate(settings, start, 600, (_, count) => {
      return pool(count, { cpu: total / count })
    })
    const kinds = new Set(changes.map(line => line.split(' ')[1]))
    const end = Number(changes.at(-1)?.split(' ')[2] ?? start)
    const where = `seed ${seed}, round ${round}: ${changes.join(', ')}`
    if (kinds.size > 1) t.fail(`${where}: it turned round`)
    const needed = Math.min(20, Math.ceil(total / target))
    if (end < needed) t.fail(`${where}: ${end} of ${needed} nodes`)
    if (end > start && end > needed) t.fail(`${where}: ${end} where ${needed} do`)
  }
  t.pass()
})

t.test('the schedule: the entry whose time came last', async t => {
  const schedule = new Schedule({ least: 2, most: 9 }, [
    { at: '0 8 * * 1-5', zone: 'Europe/Berlin', least: 4 },
    { at: '0 20 * * 1-5', zone: 'Europe/Berlin', most: 3 },
    { at: '0 0 1 1 *', zone: 'UTC', least: 1, most: 1 },
  ])
  const at = (text: string) => Object.values(schedule.boundsAt(Date.parse(text)))
  t.strictSame(at('2026-11-30T06:59:59Z'), [2, 3], 'since Friday evening')
  t.strictSame(at('2026-11-30T07:00:00Z'), [4, 9], 'a Monday, 8 in Berlin')
  t.strictSame(at('2026-11-30T18:59:59Z'), [4, 9])
  t.strictSame(at('2026-11-30T19:00:00Z'), [2, 3])
  t.strictSame(at('2026-07-01T06:00:00Z'), [4, 9], 'summer time')
  t.strictSame(at('2027-01-01T00:00:01Z'), [1, 1])
  t.strictSame(Object.values(new Schedule({ least: 2, most: 9 }, []).boundsAt(0)), [2, 9])
})

t.test('the node leaves whose loss is the least', async t => {
  const nodes: NodeLook[] = [
    { name: 'a', figures: figures({ hits: 5, items: 9, bytes: 9 }) },
    { name: 'b', figures: figures({ hits: 5, items: 7, bytes: 11 }) },
    { name: 'c', figures: figures({ hits: 9, items: 3, bytes: 12 }) },
    { name: 'd', figures: figures({ hits: 9, items: 9, bytes: 2 }) },
    { name: 'dark', figures: null },
    { name: 'new', figures: figures({ hits: null }) },
  ]
  t.equal(leastLoss(nodes.slice(0, 5), 'hits')?.name, 'b', 'of two the one with fewer items')
  t.equal(leastLoss(nodes.slice(0, 5), 'items')?.name, 'c')
  t.equal(leastLoss(nodes.slice(0, 5), 'memory')?.name, 'd')
  t.not(leastLoss(nodes, 'hits')?.name, 'new', 'what nobody knows is not nothing')
  t.equal(leastLoss(pool(3, null), 'hits'), null)
})
