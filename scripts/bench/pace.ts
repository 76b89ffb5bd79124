// An open loop: batches at random times (a Poisson process), whether the last ones were answered or
// not, over all connections in turn. A batch is late where it was meant to be sent earlier than it
// was, and its latency counts from when it was meant to be: a server that stands still pays for
// every request that would have come meanwhile. Turns of the event loop are spun, because no timer
// is as fine as the times between two batches.

import type { Peer, Run } from './peer.ts'

export class Pace {
  readonly #run: Run
  readonly #peers: readonly Peer[]
  readonly #random: () => number
  readonly #gapMs: number
  #dueMs = 0
  #turn = 0

  constructor(run: Run, peers: readonly Peer[], batchesPerS: number, random: () => number) {
    this.#run = run
    this.#peers = peers
    this.#random = random
    this.#gapMs = 1000 / batchesPerS
  }

  begin(): void {
    this.#dueMs = performance.now()
    this.#spin()
  }

  #spin(): void {
    const { deadlineMs } = this.#run
    const untilMs = Math.min(performance.now(), deadlineMs)
    while (this.#dueMs <= untilMs) {
      this.#peers[this.#turn].send(this.#dueMs)
      this.#turn = this.#turn + 1 < this.#peers.length ? this.#turn + 1 : 0
      this.#dueMs -= Math.log(1 - this.#random()) * this.#gapMs
    }
    if (this.#dueMs > deadlineMs) this.#run.endSending()
    else setImmediate(() => this.#spin())
  }
}
