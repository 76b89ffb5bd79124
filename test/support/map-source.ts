/** A source of values for the strategies: a Map that can be slow, broken or stuck. */
import { setTimeout as sleep } from 'node:timers/promises'

export class MapSource {
  readonly values = new Map<string, string | undefined>()
  /** The values in the order in which their saves were done. */
  readonly saved: (string | undefined)[] = []
  readonly signals: AbortSignal[] = []
  loads = 0
  saves = 0
  /** The error that the next changing calls throw. */
  broken: Error | undefined
  /** A promise that changes wait for. */
  gate: Promise<void> = Promise.resolve()

  load(key: string): string | undefined {
    this.loads++
    return this.values.get(key)
  }

  async save(key: string, value: string | undefined, signal: AbortSignal): Promise<void> {
    this.saves++
    this.signals.push(signal)
    await this.gate
    if (value === 'slow') await sleep(50)
    if (this.broken !== undefined) throw this.broken
    this.values.set(key, value)
    this.saved.push(value)
  }

  async remove(key: string): Promise<void> {
    await this.gate
    if (this.broken !== undefined) throw this.broken
    this.values.delete(key)
  }
}
