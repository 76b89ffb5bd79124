// Where the threads of a process stand still while its content goes over to another process: the
// workers between two turns, the main thread until they are done. No request is run meanwhile.
//
//   words     PHASE, PARKED and DONE: how many workers stand still, and have copied; FAILED
//   results   RESULTS Float64 a worker
//
//   GATHER -> COPY -> LEAVE    the other process has it all: this one runs no request any more
//                  -> RESUME   from each phase but LEAVE: all goes on as before
//
// Main thread and workers agree by one compareExchange, whatever happens to the other side.

import { addLoaded, type Loaded, nothingLoaded } from '../../keeping/image/load-arena.ts'

const Phase = { GATHER: 0, COPY: 1, RESUME: 2, LEAVE: 3 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

const PHASE = 0
const PARKED = 1
const DONE = 2
const FAILED = 3
const WORDS = 4

const RESULTS = Object.keys(nothingLoaded()) as (keyof Loaded)[]

/** How often a thread that stands still looks whether its time is over. */
const LOOK_MS = 50

export class Assembly {
  readonly buffer: SharedArrayBuffer
  private readonly words: Int32Array
  readonly workers: number

  /** For this number of workers. `buffer`: of the one that the main thread made. */
  constructor(
    workers: number,
    buffer = new SharedArrayBuffer(WORDS * 4 + workers * RESULTS.length * 8),
  ) {
    this.buffer = buffer
    this.workers = workers
    this.words = new Int32Array(buffer, 0, WORDS)
  }

  // ---- the main thread

  /** Whether all workers stand still; false: not in time. Waits. */
  gather(waitMs: number): boolean {
    return this.waitFor(PARKED, waitMs)
  }

  /** Lets the workers copy; false: one has given up. */
  copy(): boolean {
    return this.change(Phase.GATHER, Phase.COPY)
  }

  /** Whether every worker has copied its part; false: not in time, or one failed. Waits. */
  copied(waitMs: number): boolean {
    return this.waitFor(DONE, waitMs) && !this.hasFailed
  }

  get isDone(): boolean {
    return Atomics.load(this.words, DONE) === this.workers
  }

  get hasFailed(): boolean {
    return Atomics.load(this.words, FAILED) > 0
  }

  /** The point of no return; false: a worker has given up meanwhile. */
  leave(): boolean {
    return this.change(Phase.COPY, Phase.LEAVE)
  }

  /** Lets all go on as before. */
  resume(): void {
    if (!this.change(Phase.GATHER, Phase.RESUME)) this.change(Phase.COPY, Phase.RESUME)
  }

  /** What the workers have loaded. */
  sum(): Loaded {
    const sum = nothingLoaded()
    for (let worker = 0; worker < this.workers; worker++) {
      const results = this.resultsOf(worker)
      addLoaded(sum, Object.fromEntries(RESULTS.map((name, i) => [name, results[i]])) as never)
    }
    return sum
  }

  // ---- a worker

  /** Stands still until all do; false: go on as before. Waits. */
  park(deadlineMs: number, nowMs: () => number): boolean {
    Atomics.add(this.words, PARKED, 1)
    Atomics.notify(this.words, PARKED)
    return this.waitWhile(Phase.GATHER, deadlineMs, nowMs) === Phase.COPY
  }

  /** Stands still, after its part was copied or not. True: this process ends. Waits. */
  settle(isCopied: boolean, deadlineMs: number, nowMs: () => number): boolean {
    if (!isCopied) Atomics.add(this.words, FAILED, 1)
    Atomics.add(this.words, DONE, 1)
    Atomics.notify(this.words, DONE)
    return this.waitWhile(Phase.COPY, deadlineMs, nowMs) === Phase.LEAVE
  }

  note(worker: number, loaded: Loaded): void {
    this.resultsOf(worker).set(RESULTS.map(name => loaded[name]))
  }

  private waitWhile(phase: Phase, deadlineMs: number, nowMs: () => number): Phase {
    while (Atomics.load(this.words, PHASE) === phase) {
      Atomics.wait(this.words, PHASE, phase, LOOK_MS)
      if (nowMs() > deadlineMs) this.change(phase, Phase.RESUME)
    }
    return Atomics.load(this.words, PHASE) as Phase
  }

  private waitFor(word: number, waitMs: number): boolean {
    const endMs = performance.now() + waitMs
    for (;;) {
      const count = Atomics.load(this.words, word)
      if (count === this.workers) return true
      const leftMs = endMs - performance.now()
      if (leftMs <= 0) return false
      Atomics.wait(this.words, word, count, Math.min(leftMs, LOOK_MS))
    }
  }

  private change(from: Phase, to: Phase): boolean {
    if (Atomics.compareExchange(this.words, PHASE, from, to) !== from) return false
    Atomics.notify(this.words, PHASE)
    return true
  }

  private resultsOf(worker: number): Float64Array {
    return new Float64Array(this.buffer, WORDS * 4 + worker * RESULTS.length * 8, RESULTS.length)
  }
}
