// Two and three clients on three servers that are killed, frozen, taken away and given back, while
// the clients' own event loop is blocked now and then. Whatever happens, a client never reads what
// is older than what it knows: after its n-th change of a key ended, in whichever way, it reads the
// n-th value, a later one, or nothing.

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ClusterClient } from '../../lib/client/cluster.ts'
import { CacheError } from '../../lib/doors/errors.ts'
import { startDaemon, startDaemonOn } from '../support/daemon.ts'
import { ONE_THREAD, untilTrue } from '../support/pool.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { HOST, type ServerProcess } from '../support/process.ts'
import { runs, SKIP_UNLESS_ALL } from '../support/runs.ts'

const seed = announceSeed(t)
// Not more: a server that keeps failing rests twice as long each time, up to a minute.
const ROUNDS = runs(3, 12)
/** Copies of the values of each client. */
const POOLS: [copies: number[], failover: 'next' | 'miss'][] =
  SKIP_UNLESS_ALL !== false
    ? [[[1, 2], 'next']]
    : [
        [[1, 1], 'next'],
        [[2, 2, 2], 'next'],
        [[1, 2, 1], 'miss'],
      ]
const TIMEOUT_MS = 400
const WARMUP_MS = 600
const KEYS = 30
const WORKERS = 3
const LOAD_MS = 400

/** One client, and what it knows of its keys. */
class Writer {
  readonly client: ClusterClient
  private readonly name: string
  /** Number of the last change of each key that was begun, and that ended. */
  private readonly begun = new Map<string, number>()
  private readonly ended = new Map<string, number>()
  readonly faults: string[] = []
  readonly done = { reads: 0, hits: 0, changes: 0, failures: 0 }

  constructor(name: string, client: ClusterClient) {
    this.name = name
    this.client = client
  }

  /** Changes and reads this worker's keys until told to stop. */
  async work(worker: number, random: Random, isOver: () => boolean): Promise<void> {
    const own = Array.from({ length: KEYS }, (_, i) => `${this.name}:${i}`)
    const keys = own.filter((_, i) => i % WORKERS === worker)
    while (!isOver()) {
      const key = keys[random.between(0, keys.length - 1)]
      if (random.once(3)) await this.change(key, random.once(3))
      else if (random.once(4)) await this.readMany(keys)
      else await this.read(key)
      // Away servers reject at once.
      if (random.once(8)) await sleep(1)
    }
  }

  private async change(key: string, isDelete: boolean): Promise<void> {
    const n = (this.begun.get(key) ?? 0) + 1
    this.begun.set(key, n)
    this.done.changes++
    const { client } = this
    await (isDelete ? client.delete(key) : client.set(key, `${n}`, { ttlS: 1000 })).catch(error => {
      this.done.failures++
      if (!(error instanceof CacheError)) this.faults.push(`${key}: ${error}`)
    })
    this.ended.set(key, n)
  }

  private async read(key: string): Promise<void> {
    const known = this.ended.get(key) ?? 0
    const text = await this.client.get<string>(key).catch(() => undefined)
    this.check(key, known, text)
  }

  private async readMany(keys: string[]): Promise<void> {
    const known = keys.map(key => this.ended.get(key) ?? 0)
    const found = await this.client.getMany<string>(keys).catch(() => new Map<string, string>())
    for (const [i, key] of keys.entries()) this.check(key, known[i], found.get(key))
  }

  private check(key: string, known: number, text: string | undefined): void {
    this.done.reads++
    if (text === undefined) return
    this.done.hits++
    const n = Number(text)
    const begun = this.begun.get(key) ?? 0
    if (!(n >= known && n <= begun)) this.faults.push(`${key}: read ${text}, known ${known}`)
  }
}

function block(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}

/** What may happen to servers and clients; each heals what it broke. */
class Day {
  private readonly t: Test
  private readonly servers: ServerProcess[]
  private readonly writers: Writer[]
  private readonly random: Random
  readonly log: string[] = []

  constructor(t: Test, servers: ServerProcess[], writers: Writer[], random: Random) {
    this.t = t
    this.servers = servers
    this.writers = writers
    this.random = random
  }

  async round(): Promise<void> {
    const i = this.random.between(0, this.servers.length - 1)
    const events = [this.freeze, this.kill, this.lag, this.change]
    const event = events[this.random.between(0, events.length - 1)]
    this.log.push(`${event.name} ${i}`)
    await event.call(this, i)
    await sleep(LOAD_MS / 2)
  }

  private async freeze(i: number): Promise<void> {
    const { pid } = this.servers[i]
    process.kill(pid, 'SIGSTOP')
    await sleep(LOAD_MS * this.random.between(1, 3))
    process.kill(pid, 'SIGCONT')
    await this.allBack()
  }

  private async kill(i: number): Promise<void> {
    const { pid, port } = this.servers[i]
    process.kill(pid, 'SIGKILL')
    await sleep(LOAD_MS)
    this.servers[i] = await startDaemonOn(this.t, port, ONE_THREAD)
    await this.allBack()
  }

  private async lag(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      block(TIMEOUT_MS * 1.5)
      await sleep(20)
    }
  }

  /** A server leaves for less or more than the window in which its keys are fetched from it. */
  private async change(i: number): Promise<void> {
    const all = this.servers.map(({ port }) => `${HOST}:${port}`)
    for (const { client } of this.writers) client.setMembers(all.filter((_, j) => j !== i))
    await sleep(this.random.once(2) ? WARMUP_MS / 3 : WARMUP_MS * 1.5)
    for (const { client } of this.writers) client.setMembers(all)
    await sleep(LOAD_MS)
  }

  private allBack(): Promise<void> {
    return untilTrue('all back', () =>
      this.writers.every(({ client }) => client.away().length === 0),
    )
  }
}

for (const [copies, failover] of POOLS) {
  t.test(`copies: ${copies.join(', ')}, ${failover}, seed ${seed}`, async t => {
    const random = createRandom(seed, copies.length)
    const servers = await Promise.all([1, 2, 3].map(() => startDaemon(t, ONE_THREAD)))
    const names = servers.map(({ port }) => `${HOST}:${port}`)
    const terms = { timeoutMs: TIMEOUT_MS, failures: 2, restMs: 100, warmupMs: WARMUP_MS, failover }
    const writers = copies.map((replicas, i) => {
      const hedge = replicas > 1 ? { afterMs: 10, share: 0.5 } : undefined
      const client = new ClusterClient(names, { ...terms, replicas, hedge })
      t.teardown(() => client.close())
      return new Writer(`c${i}`, client)
    })
    let isOver = false
    const load = writers.flatMap((writer, i) =>
      Array.from({ length: WORKERS }, (_, worker) =>
        writer.work(worker, createRandom(seed, 100 * i + worker), () => isOver),
      ),
    )
    const day = new Day(t, servers, writers, random)
    for (let round = 0; round < ROUNDS; round++) {
      await day.round()
      if (writers.some(({ faults }) => faults.length > 0)) break
    }
    isOver = true
    await Promise.all(load)
    for (const { faults, done } of writers) {
      t.strictSame(faults.slice(0, 5), [], day.log.join(', '))
      t.ok(done.hits > 10 && done.changes > 10, JSON.stringify(done))
    }
  })
}
