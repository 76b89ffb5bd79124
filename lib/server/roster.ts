// The connections of all threads and their counters, in shared memory, so that any thread can
// report on all of them: `stats`, `stats conns`, the connection limit, the choice of a worker.
//
//   control   Int32: the protocols' Control words, then the server's own
//   open      Int32 per thread: how many connections it serves
//   beats     Int32 per thread: it changes once a second while the thread runs
//   counters  Float64, THREAD_COUNTERS per thread; only that thread writes them
//   slots     Int32, SLOT_WORDS a connection: whether it is open, the thread that serves it, when
//             the peer last spoke, the listener, the number of its delivery, what it is in the
//             middle of (Phase), the meters of its user and its address (access/meters.ts), the
//             peer's address as text
//
// Threads are the workers and, last, the main thread, which serves peers too. Only the main thread
// takes slots; the thread that serves a connection frees its slot.

import { Meters, NO_METER } from '../access/meters.ts'
import { Control, ThreadCounter } from '../protocol/host.ts'

const CONTROL_WORDS = 32
const RESTARTS = 24
const SLOTS_TAKEN_MAX = 25
const SHUT = 26

const THREAD_COUNTERS = 32

const SLOT_WORDS = 28
const SLOT_OPEN = 0
const SLOT_WORKER = 1
const SLOT_LAST_S = 2
const SLOT_LISTENER = 3
const SLOT_DELIVERY = 4
const SLOT_PHASE = 5
/** Meters that it counts for, plus one; 0: none. */
const SLOT_USER_METER = 6
const SLOT_ADDRESS_METER = 7
const SLOT_ADDRESS_BYTES = 8
const SLOT_ADDRESS = 9
const ADDRESS_BYTES_MAX = (SLOT_WORDS - SLOT_ADDRESS) * 4

/** The first number of a connection in logs and `stats conns`, like a file descriptor. */
const FIRST_ID = 32

/** What `stats conns` says that a connection is doing. */
export const Phase = { REQUEST: 0, VALUE: 1, WATCH: 2 } as const
export type Phase = (typeof Phase)[keyof typeof Phase]

export interface RosterHandle {
  buffer: SharedArrayBuffer
  threads: number
  slots: number
  /** Of limits; null: there are none. */
  meters: SharedArrayBuffer | null
}

/** One open connection. */
export interface Occupant {
  id: number
  address: string
  /** Index of its listener. */
  listener: number
  phase: Phase
  lastS: number
}

export class Roster {
  readonly handle: RosterHandle
  readonly control: Int32Array
  readonly beats: Int32Array
  /** Null: nobody is limited. */
  readonly meters: Meters | null
  private readonly open: Int32Array
  private readonly counters: Float64Array
  /** The main thread's. */
  private readonly own: Float64Array
  private readonly slots: Int32Array
  private readonly bytes: Buffer
  private readonly slotsAt: number
  private next = 0

  constructor(handle: RosterHandle) {
    const { buffer, threads, slots } = handle
    const openAt = CONTROL_WORDS * 4
    const beatsAt = openAt + (threads + 1) * 4
    const countersAt = beatsAt + (threads + 1) * 4
    this.slotsAt = countersAt + (threads + 1) * THREAD_COUNTERS * 8
    this.handle = handle
    this.meters = handle.meters === null ? null : new Meters(handle.meters)
    this.control = new Int32Array(buffer, 0, CONTROL_WORDS)
    this.open = new Int32Array(buffer, openAt, threads + 1)
    this.beats = new Int32Array(buffer, beatsAt, threads + 1)
    this.counters = new Float64Array(buffer, countersAt, (threads + 1) * THREAD_COUNTERS)
    this.own = this.countersOf(threads)
    this.slots = new Int32Array(buffer, this.slotsAt, slots * SLOT_WORDS)
    this.bytes = Buffer.from(buffer)
  }

  /** Room for this number of threads and connections. */
  static create(threads: number, slots: number, meters: SharedArrayBuffer | null = null): Roster {
    const counterWords = (threads + 1) * THREAD_COUNTERS * 2
    const words = CONTROL_WORDS + 2 * (threads + 1) + counterWords + slots * SLOT_WORDS
    return new Roster({ buffer: new SharedArrayBuffer(words * 4), threads, slots, meters })
  }

  /** The index of the main thread, behind those of the workers. */
  get mainThread(): number {
    return this.handle.threads
  }

  /** The counters of one thread, by ThreadCounter. */
  countersOf(worker: number): Float64Array {
    const at = worker * THREAD_COUNTERS
    return this.counters.subarray(at, at + THREAD_COUNTERS)
  }

  /** Sum of one ThreadCounter over all threads. */
  sum(counter: number): number {
    let sum = 0
    for (let at = counter; at < this.counters.length; at += THREAD_COUNTERS) {
      sum += this.counters[at]
    }
    return sum
  }

  /** All sums, for the process that goes on after this one. */
  sums(): number[] {
    return Object.values(ThreadCounter).map(counter => this.sum(counter))
  }

  /** Adds the sums of the process before this one to the main thread's. */
  addSums(sums: readonly number[]): void {
    for (const [i, counter] of Object.values(ThreadCounter).entries())
      this.own[counter] += sums[i] ?? 0
  }

  /** Zeroes what `stats reset` zeroes. */
  reset(): void {
    for (let at = 0; at < this.counters.length; at += THREAD_COUNTERS) {
      for (const counter of Object.values(ThreadCounter)) this.counters[at + counter] = 0
    }
  }

  /** How many connections a worker serves. */
  loadOf(worker: number): number {
    return Atomics.load(this.open, worker)
  }

  /** Takes a slot for a new connection, which counts for `meter`; -1 if all are taken. */
  take(worker: number, listener: number, address: string, nowS: number, meter = NO_METER): number {
    const slot = this.findFree()
    if (slot < 0) return -1
    const at = slot * SLOT_WORDS
    this.slots[at + SLOT_WORKER] = worker
    this.slots[at + SLOT_LAST_S] = nowS
    this.slots[at + SLOT_LISTENER] = listener
    this.slots[at + SLOT_PHASE] = Phase.REQUEST
    this.slots[at + SLOT_USER_METER] = 0
    this.slots[at + SLOT_ADDRESS_METER] = meter + 1
    const addressAt = this.slotsAt + (at + SLOT_ADDRESS) * 4
    const bytes = this.bytes.write(address, addressAt, ADDRESS_BYTES_MAX, 'latin1')
    this.slots[at + SLOT_ADDRESS_BYTES] = bytes
    Atomics.store(this.slots, at + SLOT_OPEN, 1)
    Atomics.add(this.open, worker, 1)
    this.own[ThreadCounter.ACCEPTED]++
    const used = Math.max(this.control[SLOTS_TAKEN_MAX], this.current())
    Atomics.store(this.control, SLOTS_TAKEN_MAX, used)
    return slot
  }

  /** The listener that the connection in this slot came through. */
  listenerOf(slot: number): number {
    return this.slots[slot * SLOT_WORDS + SLOT_LISTENER]
  }

  /** Records that the connection in this slot is sent to its worker, and the delivery number. */
  deliver(slot: number, delivery: number): void {
    this.slots[slot * SLOT_WORDS + SLOT_DELIVERY] = delivery
  }

  /** Frees the slot of a connection that never reached its worker. */
  giveLost(worker: number, delivery: number): void {
    for (let slot = 0; slot < this.handle.slots; slot++) {
      const at = slot * SLOT_WORDS
      const isTheirs = this.slots[at + SLOT_OPEN] === 1 && this.slots[at + SLOT_WORKER] === worker
      if (isTheirs && this.slots[at + SLOT_DELIVERY] === delivery) return this.give(slot)
    }
  }

  /** Frees a slot: its connection is closed. */
  give(slot: number): void {
    const at = slot * SLOT_WORDS
    // Read first: once the slot is free the main thread may take it for another worker.
    const worker = this.slots[at + SLOT_WORKER]
    const userMeter = this.slots[at + SLOT_USER_METER]
    const addressMeter = this.slots[at + SLOT_ADDRESS_METER]
    if (Atomics.exchange(this.slots, at + SLOT_OPEN, 0) === 0) return
    Atomics.sub(this.open, worker, 1)
    if (userMeter > 0) this.meters?.leave(userMeter - 1)
    if (addressMeter > 0) this.meters?.leave(addressMeter - 1)
  }

  /** The meter of the address of the connection in this slot. */
  addressMeterOf(slot: number): number {
    return this.slots[slot * SLOT_WORDS + SLOT_ADDRESS_METER] - 1
  }

  /** The connection `id` counts for this meter from now on. False: too many do, nothing changed. */
  countFor(id: number, meter: number): boolean {
    const { meters } = this
    // A peer of UDP has no connection.
    if (meters === null || id < FIRST_ID) return true
    if (meter !== NO_METER && !meters.join(meter)) return false
    const at = (id - FIRST_ID) * SLOT_WORDS + SLOT_USER_METER
    const before = this.slots[at]
    this.slots[at] = meter + 1
    if (before > 0) meters.leave(before - 1)
    return true
  }

  /** Frees all slots of a thread that failed. */
  giveAll(worker: number): void {
    for (let slot = 0; slot < this.handle.slots; slot++) {
      const at = slot * SLOT_WORDS
      if (this.slots[at + SLOT_OPEN] === 1 && this.slots[at + SLOT_WORKER] === worker) {
        this.give(slot)
      }
    }
  }

  /** The peer in this slot is now between requests, sending a value, or watching. */
  enters(slot: number, phase: Phase): void {
    this.slots[slot * SLOT_WORDS + SLOT_PHASE] = phase
  }

  /** Records that the peer in this slot has just sent something. */
  spoke(slot: number, nowS: number): void {
    this.slots[slot * SLOT_WORDS + SLOT_LAST_S] = nowS
  }

  /** When the peer in this slot last sent something. */
  spokeAtS(slot: number): number {
    return this.slots[slot * SLOT_WORDS + SLOT_LAST_S]
  }

  /** Number of a connection in logs and `stats conns`. */
  static idOf(slot: number): number {
    return slot + FIRST_ID
  }

  /** The peer's address, by the number of its connection. */
  addressOf(id: number): string {
    const at = (id - FIRST_ID) * SLOT_WORDS
    const addressAt = this.slotsAt + (at + SLOT_ADDRESS) * 4
    const addressEnd = addressAt + this.slots[at + SLOT_ADDRESS_BYTES]
    return this.bytes.toString('latin1', addressAt, addressEnd)
  }

  /** Counts a rejected connection. */
  countRejection(): void {
    this.own[ThreadCounter.REJECTED]++
  }

  /** Records that new connections wait from now on. */
  shut(): void {
    Atomics.store(this.control, SHUT, 1)
    this.own[ThreadCounter.LISTEN_DISABLED]++
  }

  /** Records that new connections are accepted again, after `shutUs` microseconds. */
  reopen(shutUs: number): void {
    Atomics.store(this.control, SHUT, 0)
    this.own[ThreadCounter.LISTEN_DISABLED_US] += shutUs
  }

  /** Counts a worker that died and was replaced. */
  countRestart(): void {
    Atomics.add(this.control, RESTARTS, 1)
  }

  restarts(): number {
    return this.control[RESTARTS]
  }

  current(): number {
    let sum = 0
    for (let worker = 0; worker < this.open.length; worker++) {
      sum += Atomics.load(this.open, worker)
    }
    return sum
  }

  connections() {
    return {
      current: this.current(),
      total: this.own[ThreadCounter.ACCEPTED],
      rejected: this.own[ThreadCounter.REJECTED],
      structures: this.control[SLOTS_TAKEN_MAX],
      accepting: this.control[SHUT] === 0,
    }
  }

  /** Every open connection. */
  *each(): Generator<Occupant> {
    for (let slot = 0; slot < this.handle.slots; slot++) {
      const at = slot * SLOT_WORDS
      if (this.slots[at + SLOT_OPEN] === 0) continue
      const id = Roster.idOf(slot)
      yield {
        id,
        address: this.addressOf(id),
        listener: this.slots[at + SLOT_LISTENER],
        phase: this.slots[at + SLOT_PHASE] as Phase,
        lastS: this.slots[at + SLOT_LAST_S],
      }
    }
  }

  private findFree(): number {
    const { slots } = this.handle
    for (let tried = 0; tried < slots; tried++) {
      const slot = this.next
      this.next = slot + 1 === slots ? 0 : slot + 1
      if (Atomics.load(this.slots, slot * SLOT_WORDS + SLOT_OPEN) === 0) return slot
    }
    return -1
  }
}

/** Sets the log level of `-v`. */
export function setVerbosity(roster: Roster, level: number): void {
  roster.control[Control.VERBOSITY] = level
}
