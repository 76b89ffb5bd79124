// The scaler's steps in order, against parts that only write down what they are asked.

import t from 'tap'
import { parseConfig } from '../../../lib/commands/scale/config/file.ts'
import type { NodeLook } from '../../../lib/commands/scale/decide/look.ts'
import { figuresOf } from '../../../lib/commands/scale/pool/node-watch.ts'
import { type Parts, Scaler } from '../../../lib/commands/scale/scaler.ts'
import { sampleOf } from '../../../lib/commands/servers/sample.ts'

const CONFIG = `
least: 2
most: 6
every: 10s
policies: { cpu: 50 }
room: 0
window: { out: 0s, in: 0s }
cooldown: { out: 0s, in: 0s }
backoff: { first: 10s, most: 80s }
warm: 1000
announce: { by: command, command: [none], settle: 3s }
driver: { command: { list: [none], out: [none], in: [none] } }
`

class Stage {
  nowMs = 0
  nodes: string[]
  /** Of the whole pool. */
  cpu = 0
  readonly calls: string[] = []
  readonly lines: string[] = []
  /** Steps that fail, by the first word of their call. */
  readonly failing = new Set<string>()
  /** What the driver's list shows; null: the nodes. */
  listed: string[] | null = null
  private readonly scaler: Scaler
  private readonly signal = new AbortController().signal

  constructor(nodes: string[], isDry = false) {
    this.nodes = nodes
    this.scaler = new Scaler(parseConfig('it.yaml', CONFIG), this.parts(), isDry)
  }

  /** One tick, and what it asked for. */
  async tick(): Promise<string[]> {
    this.nowMs += 10_000
    this.calls.length = 0
    await this.scaler.tick(this.signal)
    return [...this.calls]
  }

  get tally() {
    return this.scaler.tally
  }

  private call(...words: unknown[]): void {
    this.calls.push(words.join(' '))
    if (this.failing.has(String(words[0]))) throw new Error('it does not work')
  }

  private parts(): Parts {
    return {
      clock: {
        nowMs: () => this.nowMs,
        sleep: async ms => void this.calls.push(`sleep ${ms}`),
      },
      seat: { term: () => this.signal, close: async () => {} },
      driver: {
        name: 'stage',
        nodes: async () => this.listed ?? this.nodes,
        grow: async to => {
          this.call('grow', to)
          while (this.nodes.length < to) this.nodes = [...this.nodes, `n:${this.nodes.length + 1}`]
        },
        remove: async (node, to) => {
          this.call('remove', node, to)
          this.nodes = this.nodes.filter(name => name !== node)
        },
        repair: async () => [],
      },
      announcer: {
        seen: async () => null,
        announce: async (nodes, leaving) => {
          this.call('announce', nodes.join(), leaving.length === 0 ? '' : `not ${leaving.join()}`)
          return true
        },
      },
      watch: { look: async names => names.map(name => this.look(name, names.length)), close() {} },
      mover: {
        drain: async (node, nodes) => {
          this.call('drain', node, 'to', nodes.join())
          return 7
        },
        warm: async (node, others) => {
          this.call('warm', node, 'from', others.join())
          return 5
        },
      },
      tell: line => this.lines.push(line),
    }
  }

  private look(name: string, count: number): NodeLook {
    const number = Number(name.split(':')[1])
    const rates = { cpu: this.cpu / count, evictions: 0, hits: 100 - number, curve: null }
    const sizes = { connections: 1, items: number, bytes: 10, limitBytes: 1000 }
    return { name, figures: { ...rates, ...sizes } }
  }
}

const trimmed = (calls: string[]) => calls.map(call => call.trim())

t.test('out: start, warm, tell, wait, move', async t => {
  const stage = new Stage(['n:1', 'n:2'])
  t.strictSame(trimmed(await stage.tick()), [
    ...['announce n:1,n:2', 'sleep 3000', 'drain n:1 to n:1,n:2', 'drain n:2 to n:1,n:2'],
  ])
  t.strictSame(await stage.tick(), [], 'and then nothing')
  stage.cpu = 140
  t.strictSame(trimmed(await stage.tick()), [
    ...['grow 3', 'warm n:3 from n:1,n:2', 'announce n:1,n:2,n:3', 'sleep 3000'],
    ...['drain n:1 to n:1,n:2,n:3', 'drain n:2 to n:1,n:2,n:3', 'drain n:3 to n:1,n:2,n:3'],
  ])
  t.match(stage.lines, [/^hold 2/, 'out 2 to 3: cpu 70 of 50 wants 3; least 2, most 6', /warmed/])
  t.match(stage.tally, { changes: { out: 1, in: 0 }, itemsMoved: 35 })
})

t.test('in: choose, tell, wait, drain, end', async t => {
  const stage = new Stage(['n:1', 'n:2', 'n:3'])
  const calls = trimmed(await stage.tick())
  t.strictSame(calls.slice(-4), [
    ...['announce n:1,n:2 not n:3', 'sleep 3000', 'drain n:3 to n:1,n:2', 'remove n:3 2'],
  ])
  t.ok(stage.lines[0].endsWith('n:3 leaves, least by hits: 97 hits/s, 3 items, 0 MB'))
})

t.test('a drain that fails: clients get the node back at once, then a pause', async t => {
  const stage = new Stage(['n:1', 'n:2', 'n:3'])
  stage.cpu = 140
  await stage.tick()
  stage.cpu = 0
  stage.failing.add('drain')
  const calls = trimmed(await stage.tick())
  const first = calls.indexOf('drain n:3 to n:1,n:2')
  t.strictSame(calls.slice(first, first + 7), [
    ...['drain n:3 to n:1,n:2', 'sleep 2000', 'drain n:3 to n:1,n:2', 'sleep 4000'],
    ...['drain n:3 to n:1,n:2', 'sleep 8000', 'drain n:3 to n:1,n:2'],
  ])
  t.ok(calls.includes('announce n:1,n:2,n:3'), 'it is told again')
  t.notOk(
    calls.some(call => call.startsWith('remove')),
    'nothing ends',
  )
  stage.failing.clear()
  for (let ticks = 0; ticks < 10 && stage.nodes.length > 2; ticks++) await stage.tick()
  t.strictSame(stage.nodes, ['n:1', 'n:2'], 'later it works')
})

t.test('a driver that fails is asked again after pauses that double', async t => {
  const stage = new Stage(['n:1', 'n:2'])
  stage.cpu = 140
  stage.failing.add('grow')
  const asked: number[] = []
  for (let tick = 1; tick <= 40; tick++) {
    if ((await stage.tick()).includes('grow 3')) asked.push(tick)
  }
  const pauses = asked.slice(1).map((tick, index) => tick - asked[index])
  t.strictSame(pauses.slice(0, 5), [1, 2, 4, 8, 8], asked.join())
  t.ok(stage.lines.includes('driver failed: it does not work; again in 80 s'))
  stage.failing.clear()
  for (let tick = 0; tick < 10; tick++) await stage.tick()
  t.equal(stage.nodes.length, 3)
})

t.test('a node that is drained and does not end is ended later, and not drained again', async t => {
  const stage = new Stage(['n:1', 'n:2', 'n:3'])
  stage.failing.add('remove')
  await stage.tick()
  t.equal(stage.calls.at(-1), 'remove n:3 2')
  stage.failing.clear()
  t.strictSame(await stage.tick(), ['remove n:3 2'])
  t.strictSame(await stage.tick(), [])
  t.match(stage.tally.changes, { in: 1, out: 0 })
})

t.test('a list that is short lowers nothing', async t => {
  const stage = new Stage(['n:1', 'n:2', 'n:3', 'n:4', 'n:5'])
  stage.cpu = 240
  await stage.tick()
  // Seen from the part that is listed, the pool has next to nothing to do.
  stage.listed = ['n:1', 'n:2', 'n:3']
  stage.cpu = 0
  for (let tick = 0; tick < 3; tick++) {
    const calls = await stage.tick()
    t.notOk(calls.some(call => call.startsWith('remove') || call.startsWith('grow')))
  }
  stage.listed = []
  const calls = await stage.tick()
  t.notOk(calls.includes('announce  '), 'nobody is told of no nodes')
  t.ok(calls.includes('grow 5'), 'the size that it asked for last, not the least')
})

t.test('a dry run asks for nothing', async t => {
  const stage = new Stage(['n:1', 'n:2', 'n:3'], true)
  t.strictSame(await stage.tick(), [])
  t.match(stage.lines, [/^would scale in 3 to 2: .* n:3 leaves, least by hits/])
})

t.test('figures of a node', async t => {
  const none = new Map<string, string>()
  const sample = (atMs: number, general: object, curve: object = {}) => {
    const reports = [general, curve].map(rows => new Map<string, string>(Object.entries(rows)))
    return sampleOf([reports[0], none, none, none, none, none, reports[1]], atMs)
  }
  const rows = { threads: '4', curr_connections: '9', curr_items: '3', bytes: '50' }
  const before = sample(0, { ...rows, rusage_user: '1.0', rusage_system: '1.0', get_hits: '100' })
  const curve = { lookups: '20000', '2:hit_percent': '92', '1:hit_percent': '90.5' }
  const later = { rusage_user: '2.5', rusage_system: '1.5', get_hits: '150', evictions: '0' }
  const now = sample(1000, { ...rows, ...later, limit_maxbytes: '1000' }, curve)
  t.match(figuresOf(before, now), { cpu: 50, hits: 50, connections: 9, items: 3, bytes: 50 })
  t.match(figuresOf(before, now).curve, {
    lookups: 20_000,
    points: [
      [1, 90.5],
      [2, 92],
    ],
  })
  t.match(figuresOf(undefined, now), { cpu: null, hits: null, evictions: null })
  t.equal(figuresOf(now, before).cpu, null, 'it was started again')
  t.equal(figuresOf(before, before).limitBytes, null)
  const few = sample(1000, rows, { ...curve, lookups: '9999' })
  t.equal(figuresOf(before, few).curve, null)
})
