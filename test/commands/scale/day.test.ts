// A day of a pool that scales itself, in a world without sockets and with a clock of its own: the
// load follows the time of day, metrics flap, nodes die, and steps fail.

import t, { type Test } from 'tap'
import { parseConfig } from '../../../lib/commands/scale/config/file.ts'
import { Scaler } from '../../../lib/commands/scale/scaler.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'
import { runs } from '../../support/runs.ts'
import { World, type WorldOptions } from '../../support/scale-world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const START_MS = Date.UTC(2026, 10, 30)
const EVERY_MS = 15_000
const DAYS = runs(3, 8)
const TARGET = 60

const CONFIG = `
least: 2
most: 12
every: ${EVERY_MS}ms
policies: { cpu: ${TARGET}, memory: 80 }
window: { out: 1m, in: 10m }
cooldown: { out: 3m, in: 15m }
backoff: { first: 2s, most: 15s }
announce: { by: command, command: [none], settle: 5s }
driver: { command: { list: [none], out: [none], in: [none] } }
`

/** Two humps, at noon and in the evening: the day has four turns. */
function humps(nowMs: number): number {
  const hour = ((nowMs - START_MS) / HOUR_MS) % 24
  const hump = (at: number, width: number) => Math.exp(-(((hour - at) / width) ** 2))
  return 100 + 320 * hump(11, 2.2) + 400 * hump(19, 1.8)
}
const TURNS = 4

const QUIET = { step: 0, unread: 0, spike: 0, crash: 0 }
const OPTIONS: WorldOptions = {
  nodes: 2,
  load: humps,
  faults: QUIET,
  keys: 1500,
  requestsAStep: 2,
  warmupMs: 60_000,
  hearMs: 5000,
}

interface Life {
  hours?: number
  config?: string
  /** The scaler dies in one of so many seconds, and another one takes over; 0: never. */
  deaths?: number
}

async function live(
  random: Random,
  given: Partial<WorldOptions>,
  { hours = 24, config = CONFIG, deaths = 0 }: Life = {},
): Promise<World> {
  let term = new AbortController()
  const onStep = () => {
    if (deaths === 0 || !random.once(deaths)) return
    term.abort(new Error('it died'))
    world.lines.push('it died')
  }
  const world: World = new World({ ...OPTIONS, onStep, ...given }, random, START_MS)
  const seat = { term: () => term.signal, close: async () => {} }
  const parsed = parseConfig('day.yaml', config)
  const { signal } = new AbortController()
  let scaler = new Scaler(parsed, { ...world.parts, seat })
  const end = START_MS + hours * HOUR_MS
  while (world.nowMs < end) {
    await scaler.tick(signal)
    await world.parts.clock.sleep(parsed.every, signal)
    if (!term.signal.aborted) continue
    term = new AbortController()
    scaler = new Scaler(parsed, { ...world.parts, seat })
  }
  return world
}

/** How often the direction of changes turned. */
function turnsOf({ changes }: World): number {
  return changes.filter(({ kind }, index) => index > 0 && kind !== changes[index - 1].kind).length
}

function check(t: Test, world: World, where: string): void {
  t.equal(world.added, 0, `${where}: no miss but those of dead nodes`)
  t.equal(world.stale, 0, `${where}: no old value`)
  t.ok(turnsOf(world) < TURNS, `${where}: ${turnsOf(world)} turns`)
  const peak = Math.max(...world.changes.map(({ nodes }) => nodes))
  t.ok(peak >= Math.ceil(500 / TARGET) && peak <= 11, `${where}: ${peak} nodes at most`)
  t.ok(
    world.changes.every(({ nodes }) => nodes >= 2 && nodes <= 12),
    `${where}: between least and most`,
  )
  t.ok(world.nodes.size <= 3, `${where}: ${world.nodes.size} nodes at night`)
}

t.test('a quiet day: the pool follows the load', async t => {
  const seed = announceSeed(t)
  for (let day = 0; day < DAYS; day++) {
    const world = await live(createRandom(seed, day), {})
    check(t, world, `seed ${seed}, day ${day}`)
    t.equal(world.own, 0)
    t.equal(world.overloaded, 0)
    t.ok(world.requests > 100_000)
    if (day === 0) for (const line of world.lines.slice(0, 12)) t.comment(line)
  }
})

t.test('a bad day: flapping metrics, dead nodes, steps that fail', async t => {
  const seed = announceSeed(t)
  let [crashes, failures] = [0, 0]
  for (let day = 0; day < DAYS; day++) {
    const faults = { step: 8, unread: 100, spike: 20, crash: 10_000 }
    // Items that cannot be moved at once are looked for longer.
    const warmupMs = 5 * MINUTE_MS
    const world = await live(createRandom(seed, 1000 + day), { faults, warmupMs })
    check(t, world, `seed ${seed}, day ${day}`)
    crashes += world.crashes
    failures += world.lines.filter(line => line.includes(' failed: ')).length
    t.ok(world.overloaded < 60, `overloaded for ${world.overloaded} s`)
  }
  t.ok(crashes > DAYS && failures > DAYS, `${crashes} nodes died, ${failures} steps failed`)
})

t.test('scalers die in the middle of changes, and others go on', async t => {
  const seed = announceSeed(t)
  let died = 0
  for (let day = 0; day < DAYS; day++) {
    const random = createRandom(seed, 4000 + day)
    const world = await live(random, { warmupMs: 5 * MINUTE_MS }, { deaths: 900 })
    t.equal(world.added, 0, `seed ${seed}, day ${day}: no miss`)
    t.equal(world.stale, 0)
    t.ok(turnsOf(world) < TURNS, `${turnsOf(world)} turns`)
    died += world.lines.filter(line => line.includes('it died')).length
  }
  t.ok(died > DAYS, `${died} scalers died, some in the middle of a change`)
})

t.test('what cannot be read never shrinks the pool', async t => {
  const seed = announceSeed(t)
  const since = START_MS + 13 * HOUR_MS
  const isBlind = (nowMs: number) => nowMs >= since && nowMs < since + 4 * HOUR_MS
  for (let day = 0; day < DAYS; day++) {
    const world = await live(createRandom(seed, 2000 + day), { isBlind })
    const shrunk = world.changes.filter(({ kind }) => kind === 'in')
    t.ok(shrunk.length > 0, 'it shrinks at other times')
    t.strictSame(
      shrunk.filter(({ atMs }) => isBlind(atMs)),
      [],
    )
    t.equal(world.added, 0)
  }
})

t.test('load that swings faster than the windows moves nothing to and fro', async t => {
  const seed = announceSeed(t)
  for (let day = 0; day < DAYS; day++) {
    const random = createRandom(seed, 3000 + day)
    const periodMs = random.between(30_000, 9 * MINUTE_MS)
    const load = (nowMs: number) =>
      240 + 160 * Math.sign(Math.sin((nowMs / periodMs) * 2 * Math.PI))
    const world = await live(random, { nodes: 5, load }, { hours: 6 })
    t.equal(turnsOf(world), 0, `seed ${seed}, day ${day}, period ${periodMs} ms`)
    t.ok(world.changes.length <= 5, `${world.changes.length} changes`)
    t.equal(world.added, 0)
  }
})

t.test('a schedule has the pool ready before the load comes', async t => {
  const config = `${CONFIG}schedule:
  - { at: '0 7 * * *', zone: UTC, least: 8 }
  - { at: '0 22 * * *', zone: UTC, least: 2, most: 3 }
`
  const seed = announceSeed(t)
  const world = await live(createRandom(seed), {}, { config })
  const atHour = (hour: number) =>
    world.changes.findLast(({ atMs }) => atMs <= START_MS + hour * HOUR_MS)?.nodes
  t.equal(atHour(7.1), 8)
  t.ok((atHour(16) ?? 0) >= 8, 'no fewer by day')
  t.ok((atHour(23) ?? 9) <= 3, 'no more at night')
  t.equal(world.added, 0)
})
