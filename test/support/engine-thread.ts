/**
 * One thread of threads.test.ts: attaches to the given cache, works on keys that others work on
 * too, and checks every value that it reads. It ends after its steps or on request, and reports
 * what it did.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Cache } from '../../lib/engine/cache.ts'
import { Mode, Status } from '../../lib/engine/status.ts'
import { GATE, type Job, type ThreadOptions, type ThreadReport } from './engine-crew.ts'
import { Peer } from './engine-peer.ts'
import { isWhole, makeValue } from './engine-values.ts'
import { createRandom, type Random } from './prng.ts'

const COUNTERS = 4
const SWAPPED = 3
const VALUES = 16

class Thread {
  readonly report: ThreadReport
  readonly #options: ThreadOptions
  readonly #peer: Peer
  readonly #random: Random
  #serial: number

  constructor(options: ThreadOptions) {
    this.#options = options
    this.#peer = new Peer(Cache.attach(options.handle, options.holder))
    this.#random = createRandom(options.seed, options.holder)
    this.#serial = options.holder << 24
    this.report = { holder: options.holder, adjusted: 0, swapped: 0, failure: '' }
  }

  run(): void {
    const { control, holder, jobs, stepsMax } = this.#options
    Atomics.wait(control, GATE, 0)
    for (let step = 0; step < stepsMax && Atomics.load(control, 0) === 0; step++) {
      this.#step(this.#random.pick(jobs))
      if (this.report.failure !== '') return
      Atomics.add(control, holder, 1)
    }
  }

  #step(job: Job): void {
    switch (job) {
      case 'adjust':
        return this.#adjust()
      case 'cas':
        return this.#swap()
      case 'value':
        return this.#random.once(3) ? this.#set() : this.#get()
      case 'hold':
        return this.#hold()
      case 'upload':
        return this.#upload()
      case 'append':
        return this.#append()
      case 'upkeep':
        return this.#upkeep()
      default:
        this.#peer.remove(this.#key())
    }
  }

  #adjust(): void {
    const key = `n${this.#random.below(COUNTERS)}`
    const status = this.#peer.adjust(key, false, 1n)
    if (status === Status.OK) this.report.adjusted++
    else if (status === Status.MISS) this.#peer.store(Mode.ADD, key, Buffer.from('0'))
    else this.#fail(`adjust: ${status}`)
  }

  /** Adds one by get and cas, retried until it succeeds. */
  #swap(): void {
    const key = `x${this.#random.below(SWAPPED)}`
    for (let tries = 0; tries < 1000; tries++) {
      const hit = this.#peer.get(key)
      if (hit === undefined) {
        this.#peer.store(Mode.ADD, key, Buffer.from('0'))
        continue
      }
      const text = hit.value.toString('latin1')
      if (!/^\d+ *$/.test(text)) return this.#fail(`a torn number: ${text}`)
      const next = Buffer.from(String(Number(text) + 1).padEnd(this.#random.between(1, 200)))
      const status = this.#peer.store(Mode.CAS, key, next, hit)
      if (status === Status.EXISTS || status === Status.MISS) continue
      if (status !== Status.OK) return this.#fail(`cas: ${status}`)
      this.report.swapped++
      return
    }
    this.#fail('a thousand others were faster')
  }

  #set(): void {
    const value = this.#value()
    const status = this.#peer.set(this.#key(), value)
    if (status !== Status.OK && status !== Status.NO_MEMORY) this.#fail(`set: ${status}`)
  }

  #get(): void {
    const hit = this.#peer.get(this.#key())
    if (hit !== undefined && !isWhole(hit.value)) this.#fail('a torn value')
  }

  #hold(): void {
    const held = this.#peer.hold(this.#key())
    if (held === undefined) return
    const parts: Buffer[] = []
    for (let offset = 0; offset < held.valueBytes; ) {
      const length = this.#random.between(1, held.valueBytes - offset)
      const part = this.#peer.read(held, offset, length)
      parts.push(part)
      offset += length
    }
    this.#peer.release(held)
    if (!isWhole(Buffer.concat(parts))) this.#fail('a held value is torn')
  }

  #upload(): void {
    const value = this.#value()
    const held = this.#peer.begin(Mode.SET, this.#key(), value.length)
    if (held === undefined) return
    for (let offset = 0; offset < value.length; ) {
      const length = this.#random.between(1, value.length - offset)
      const status = this.#peer.fill(held, value.subarray(offset, offset + length))
      // Out of memory, or the arena was emptied.
      if (status !== Status.OK) return this.#peer.giveUp(held, true)
      offset += length
    }
    if (this.#random.once(10)) return this.#peer.release(held)
    const status = this.#peer.commit(Mode.SET, held)
    if (status !== Status.OK && status !== Status.LOST) this.#fail(`commit: ${status}`)
  }

  /** Appends nothing: the value is copied to another place and stays intact. */
  #append(): void {
    const mode = this.#random.pick([Mode.APPEND, Mode.PREPEND])
    const status = this.#peer.store(mode, this.#key(), Buffer.alloc(0))
    const fine = status === Status.OK || status === Status.NOT_STORED
    if (!fine && status !== Status.NO_MEMORY) this.#fail(`append: ${status}`)
  }

  /** Several threads may do this here: its state is each thread's own, its changes are locked. */
  #upkeep(): void {
    const { cache } = this.#peer
    if (this.#random.once(4)) cache.crawl()
    if (this.#random.once(2)) {
      const { classCount } = cache.shards[0].arena
      cache.reassignPage(this.#random.between(-1, classCount), this.#random.between(0, classCount))
    }
    cache.upkeep(this.#random.below(cache.shards.length))
  }

  #fail(failure: string): void {
    this.report.failure = failure
  }

  #key(): string {
    return `v${this.#random.below(VALUES)}`
  }

  #value(): Buffer {
    const max = this.#random.once(4) ? this.#options.valueBytesMax : 300
    return makeValue(this.#serial++, this.#random.between(0, max))
  }
}

const thread = new Thread(workerData as ThreadOptions)
parentPort?.postMessage('ready')
thread.run()
parentPort?.postMessage(thread.report)
