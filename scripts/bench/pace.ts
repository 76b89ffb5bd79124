// An open loop: batches are due at random times (a Poisson process), whether or not earlier ones
// were answered, and go over the connections in turn. Latency counts from when a batch was due, not
// from when it was sent, so a server that stalls also pays for the requests that it kept from being
// sent. The event loop spins, because no timer is as fine as the time between two batches.

import type { Peer, Run } from './peer.ts'

export class Pace {
  readonly #run: Run
  readonly #peers: readonly Peer[]
  readonly #random: () => number
  readonly #gapMs: number
  #dueMs = 0
  #next = 0

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
      this.#peers[this.#next].send(this.#dueMs)
      this.#next = this.#next + 1 < this.#peers.length ? this.#next + 1 : 0
      this.#dueMs -= Math.log(1 - this.#random()) * this.#gapMs
    }
    if (this.#dueMs > deadlineMs) this.#run.endSending()
    else setImmediate(() => this.#spin())
  }
}
