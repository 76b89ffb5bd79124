/**
 * A pool that exists only in a test, with a clock of its own: nodes with items, clients that follow
 * what is announced as the pool client does, a load that follows the time of day, and things that
 * go wrong. The scaler is given it in place of sockets and processes.
 */

import { parseServer } from '../../lib/client/members/servers.ts'
import { createRing, ownerOf, type Ring } from '../../lib/client/ring/ring.ts'
import type { Announcer } from '../../lib/commands/scale/announce/announcer.ts'
import type { NodeLook } from '../../lib/commands/scale/decide/look.ts'
import type { Driver } from '../../lib/commands/scale/drivers/driver.ts'
import type { Moving } from '../../lib/commands/scale/pool/mover.ts'
import type { Watching } from '../../lib/commands/scale/pool/node-watch.ts'
import type { Clock } from '../../lib/commands/scale/scale-clock.ts'
import type { Parts } from '../../lib/commands/scale/scaler.ts'
import type { Random } from './prng.ts'

export interface WorldOptions {
  nodes: number
  /** Of the whole pool at this time, in percent of one node's CPU. */
  load(nowMs: number): number
  /** One in so many: 0, never. */
  faults: {
    /** Starts, ends, announcements and moves that fail. */
    step: number
    /** Nodes that do not answer a look. */
    unread: number
    /** Looks that show three times the load, or none. */
    spike: number
    /** Steps of the world in which a node dies. */
    crash: number
  }
  /** Times in which nothing can be read. */
  isBlind?(nowMs: number): boolean
  keys: number
  requestsAStep: number
  /** How long clients ask previous owners. */
  warmupMs: number
  /** How long clients take at most to hear of a change. */
  hearMs: number
  /** Called as each second passes. */
  onStep?(): void
}

interface Node {
  items: Map<string, number>
  isUp: boolean
}

interface View {
  names: readonly string[]
  ring: Ring
  sinceMs: number
}

/** A change of the pool by the scaler. */
export interface Change {
  atMs: number
  kind: 'out' | 'in'
  nodes: number
  /** All nodes could be read at that time. */
  isSeen: boolean
}

const STEP_MS = 1000
const LIMIT_BYTES = 1e9
const ITEM_BYTES = 1000
/** Items that a drain moves in one step. */
const MOVES_A_STEP = 40
/** As in the pool client. */
const VIEWS_MAX = 4

export class World {
  nowMs: number
  readonly nodes = new Map<string, Node>()
  readonly changes: Change[] = []
  readonly lines: string[] = []
  /** Misses of items that were stored and did not die with a node; hits of an old version. */
  added = 0
  stale = 0
  /** Misses that a dead node explains, and all requests. */
  own = 0
  requests = 0
  crashes = 0
  /** Steps in which a node had more to do than it can. */
  overloaded = 0
  private readonly options: WorldOptions
  private readonly random: Random
  private readonly versions = new Map<string, number>()
  /** Keys whose last copy died with a node. */
  private readonly lost = new Set<string>()
  private views: View[] = []
  private readonly heard: { atMs: number; names: readonly string[] }[] = []
  private announced: readonly string[] = []
  private nextPort = 1
  private wasSeen = true

  constructor(options: WorldOptions, random: Random, startMs: number) {
    this.options = options
    this.random = random
    this.nowMs = startMs
    for (let i = 0; i < options.nodes; i++) this.addNode()
    this.announced = [...this.nodes.keys()]
    this.views = [this.viewOf(this.announced)]
    for (let i = 0; i < options.keys; i++) this.set(`key:${i}`)
  }

  get parts(): Omit<Parts, 'seat'> {
    return {
      clock: this.clock,
      driver: this.driver,
      announcer: this.announcer,
      watch: this.watch,
      mover: this.mover,
      tell: line => this.lines.push(`${new Date(this.nowMs).toISOString()} ${line}`),
    }
  }

  private readonly clock: Clock = {
    nowMs: () => this.nowMs,
    sleep: async ms => this.advance(ms),
  }

  private readonly driver: Driver = {
    name: 'world',
    nodes: async () => [...this.nodes.keys()],
    grow: async to => {
      if (this.fails()) throw new Error('no machine is free')
      while (this.nodes.size < to) {
        this.advance(this.random.between(1000, 20_000))
        this.addNode()
        this.note('out')
        if (this.fails()) throw new Error('the machine did not come up')
      }
    },
    remove: async name => {
      if (this.fails()) throw new Error('the machine does not end')
      this.advance(this.random.between(500, 3000))
      this.nodes.delete(name)
      this.note('in')
    },
    repair: async () => {
      const dead = [...this.nodes].filter(([, { isUp }]) => !isUp)
      for (const [, node] of dead) node.isUp = true
      return dead.map(([name]) => name)
    },
  }

  private readonly announcer: Announcer = {
    seen: async () => [...this.announced],
    announce: async nodes => {
      if (this.fails()) throw new Error('etcd is away')
      this.announced = [...nodes]
      this.heard.push({
        atMs: this.nowMs + this.random.between(0, this.options.hearMs - STEP_MS),
        names: this.announced,
      })
      return true
    },
  }

  private readonly watch: Watching = {
    look: async names => {
      const looks = names.map(name => this.look(name, names.length))
      this.wasSeen = looks.every(({ figures }) => figures !== null)
      return looks
    },
    close: () => {},
  }

  private readonly mover: Moving = {
    drain: async (name, names, signal) => {
      const ring = createRing(names.map(parseServer))
      const failsAfter = this.fails() ? this.random.below(100) : Number.POSITIVE_INFINITY
      let moved = 0
      for (const [key, version] of [...(this.nodes.get(name)?.items ?? [])]) {
        const owner = names[ownerOf(ring, key)]
        if (owner === name || this.nodes.get(name)?.items.get(key) !== version) continue
        signal.throwIfAborted()
        if (moved >= failsAfter) throw new Error(`${name} does not answer`)
        this.move(key, name, owner)
        moved++
        if (moved % MOVES_A_STEP === 0) this.advance(STEP_MS)
      }
      if (failsAfter < Number.POSITIVE_INFINITY) throw new Error(`${name} does not answer`)
      return moved
    },
    warm: async () => 0,
  }

  private look(name: string, count: number): NodeLook {
    const node = this.nodes.get(name)
    const { faults, isBlind, load } = this.options
    const isUnread = isBlind?.(this.nowMs) === true || this.happens(faults.unread)
    if (node === undefined || !node.isUp || isUnread) return { name, figures: null }
    const spike = this.happens(faults.spike) ? this.random.pick([0, 3]) : 1
    const noise = 0.95 + this.random.below(100) / 1000
    const cpu = Math.min(100, (load(this.nowMs) / count) * noise * spike)
    const { size } = node.items
    const figures = {
      cpu,
      connections: 10,
      items: size,
      bytes: size * ITEM_BYTES,
      limitBytes: LIMIT_BYTES,
      evictions: 0,
      hits: size / 10,
      curve: null,
    }
    return { name, figures }
  }

  /** Time passes: clients ask, hear of changes, nodes die. */
  private advance(ms: number): void {
    const endMs = this.nowMs + ms
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + STEP_MS)
      this.options.onStep?.()
      this.hear()
      if (this.happens(this.options.faults.crash)) this.crash()
      for (let i = 0; i < this.options.requestsAStep; i++) this.request()
      if (this.options.load(this.nowMs) / this.nodes.size > 100) this.overloaded++
    }
  }

  private hear(): void {
    // Who has heard of a change does not hear of an earlier one any more.
    const count = this.heard.findLastIndex(({ atMs }) => atMs <= this.nowMs) + 1
    const last = this.heard.splice(0, count).at(-1)
    if (last === undefined || last.names.join() === this.views[0].names.join()) return
    this.views = [this.viewOf(last.names), ...this.views].slice(0, VIEWS_MAX + 1)
  }

  private request(): void {
    this.requests++
    const key = `key:${this.random.below(this.options.keys)}`
    if (this.random.once(20)) return this.set(key)
    const owner = this.ownerIn(this.views[0], key)
    if (!this.nodes.get(owner)?.isUp) {
      this.own++
      return
    }
    const version = this.nodes.get(owner)?.items.get(key) ?? this.fetched(key, owner)
    if (version !== undefined) {
      if (version < (this.versions.get(key) ?? 0)) this.stale++
      return
    }
    if (this.lost.has(key)) this.own++
    else this.added++
    this.set(key)
  }

  /** Moves it from a previous owner, as the pool client does. */
  private fetched(key: string, owner: string): number | undefined {
    for (const former of this.formers(key, owner)) {
      if (!this.nodes.get(former)?.items.has(key)) continue
      this.move(key, former, owner)
      return this.nodes.get(owner)?.items.get(key)
    }
    return undefined
  }

  private set(key: string): void {
    const owner = this.ownerIn(this.views[0], key)
    const node = this.nodes.get(owner)
    if (node === undefined || !node.isUp) return
    const version = (this.versions.get(key) ?? 0) + 1
    this.versions.set(key, version)
    node.items.set(key, version)
    this.lost.delete(key)
    for (const former of this.formers(key, owner)) this.nodes.get(former)?.items.delete(key)
  }

  private formers(key: string, owner: string): string[] {
    const sinceMs = this.nowMs - this.options.warmupMs
    const [, ...former] = this.views
    return former
      .filter((_, index) => this.views[index].sinceMs > sinceMs)
      .map(view => this.ownerIn(view, key))
      .filter(name => name !== owner && this.nodes.get(name)?.isUp === true)
  }

  private move(key: string, from: string, to: string): void {
    const source = this.nodes.get(from)
    const target = this.nodes.get(to)
    const version = source?.items.get(key)
    if (source === undefined || target === undefined || version === undefined) return
    if (!target.isUp) throw new Error(`${to} does not answer`)
    // What is there is newer.
    if (!target.items.has(key)) target.items.set(key, version)
    source.items.delete(key)
  }

  private crash(): void {
    const up = [...this.nodes.values()].filter(({ isUp }) => isUp)
    if (up.length < 2) return
    const node = this.random.pick(up)
    this.crashes++
    node.isUp = false
    const keys = [...node.items.keys()]
    node.items.clear()
    const isLeft = (key: string) => [...this.nodes.values()].some(({ items }) => items.has(key))
    for (const key of keys) if (!isLeft(key)) this.lost.add(key)
  }

  private addNode(): void {
    this.nodes.set(`10.0.0.${this.nextPort++}:11211`, { items: new Map(), isUp: true })
  }

  private note(kind: Change['kind']): void {
    this.changes.push({
      atMs: this.nowMs,
      kind,
      nodes: this.nodes.size,
      isSeen: this.wasSeen,
    })
  }

  private viewOf(names: readonly string[]): View {
    return { names: [...names], ring: createRing(names.map(parseServer)), sinceMs: this.nowMs }
  }

  private ownerIn({ names, ring }: View, key: string): string {
    return names[ownerOf(ring, key)]
  }

  private fails(): boolean {
    return this.happens(this.options.faults.step)
  }

  private happens(oneIn: number): boolean {
    return oneIn > 0 && this.random.once(oneIn)
  }
}
