// Loads of many keys by one call of a loader. The loads of single keys join a batch, which goes
// when it is decided for each key whether it is to be loaded, or after a short while. Keys that
// others were to load, and did not, make a later batch.

import { isNone } from './encoding.ts'

/** How long a batch waits for keys that are not decided, and for keys that join it later. */
const BATCH_MS_MAX = 50
const LATE_MS = 5

/** Makes the values of these keys. The signal is aborted at the deadline. */
export type ManyLoader<T> = (
  keys: string[],
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, T>> | ReadonlyMap<string, T>

/** Loads one key, with a time-out and a place among other loads. */
export interface Make<T> {
  (): Promise<T>
  /** Called when the key waits for the load of another process. */
  waits?(): void
}

interface Joined<T> {
  key: string
  resolve(value: T | undefined): void
  reject(error: unknown): void
}

/** Runs the loads of a batch: with the time and the place of one load. */
export type RunBatch<T> = (
  load: (signal: AbortSignal) => Promise<ReadonlyMap<string, T>>,
) => Promise<ReadonlyMap<string, T>>

export class Batch<T> {
  private readonly load: ManyLoader<T>
  private readonly run: RunBatch<T>
  /** Keys that may still join. */
  private open: number
  private joined: Joined<T>[] = []
  private timer: NodeJS.Timeout | undefined

  constructor(count: number, load: ManyLoader<T>, run: RunBatch<T>) {
    this.open = count
    this.load = load
    this.run = run
  }

  /** The place of one key: `make` loads it with the others, `leave` if it needs no load. */
  place(key: string): { make: Make<T>; leave(): void } {
    let isIn = true
    const leave = () => {
      if (isIn) this.leave()
      isIn = false
    }
    const make: Make<T> = () => {
      this.timer ??= setTimeout(() => this.go(), this.open > 0 ? BATCH_MS_MAX : LATE_MS)
      const made = new Promise<T | undefined>((resolve, reject) => {
        this.joined.push({ key, resolve, reject })
      })
      leave()
      return made as Promise<T>
    }
    make.waits = leave
    return { make, leave }
  }

  private leave(): void {
    this.open--
    if (this.open === 0 && this.joined.length > 0) this.go()
  }

  private go(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    const { joined } = this
    this.joined = []
    const keys = joined.map(({ key }) => key)
    this.run(async signal => this.load(keys, signal)).then(
      found => {
        for (const { key, resolve } of joined) resolve(found.get(key))
      },
      error => {
        for (const { reject } of joined) reject(error)
      },
    )
  }
}

/** Without the keys that have no value. */
export function withoutNone<T>(
  entries: Iterable<readonly [string, T | undefined]>,
): Map<string, T> {
  const found = new Map<string, T>()
  for (const [key, value] of entries) if (!isNone(value)) found.set(key, value as T)
  return found
}
