// An upgrade, from the side of the new process: it starts as any other, but listens only when the
// old process has given it the content and ended its own work.

import { closeSync } from 'node:fs'
import { FIRST_S, monotonicS } from '../../engine/arena/clock.ts'
import type { Cache } from '../../engine/cache.ts'
import type { Past } from '../../engine/create.ts'
import { formOf } from '../../keeping/image/adopt.ts'
import { sharedMs } from '../../keeping/image/channel.ts'
import { LAYOUT_VERSION } from '../../keeping/image/image-header.ts'
import { type Loaded, nothingLoaded } from '../../keeping/image/load-arena.ts'
import type { Inheritance, ListenerKind, PassedListener } from '../listen/address.ts'
import { Assembly } from '../relay/assembly.ts'
import { pipes } from '../relay/relay.ts'
import type { Roster } from '../roster.ts'
import { StartError } from '../system/start-error.ts'
import type { Workers } from '../workers.ts'
import {
  arenasOf,
  type Content,
  LEGACY_VARIABLE,
  type Legacy,
  type Ready,
  type Take,
} from './legacy.ts'

export class Successor implements Inheritance {
  private readonly legacy: Legacy
  private readonly waiting = new Set<(message: object | null) => void>()
  private readonly messages: object[] = []
  private isAlone = false

  private constructor(legacy: Legacy) {
    this.legacy = legacy
    process.on('message', message => this.hear(message as object))
    process.on('disconnect', () => this.hear(null))
  }

  /** Undefined: this process was not started by another daemon. */
  static find(): Successor | undefined {
    const text = process.env[LEGACY_VARIABLE]
    delete process.env[LEGACY_VARIABLE]
    return text === undefined ? undefined : new Successor(JSON.parse(text) as Legacy)
  }

  get countedSinceS(): number {
    return this.legacy.countedSinceS
  }

  /** What the cache goes on from. */
  past(): Past {
    const { seeds, startedS } = this.legacy
    return { seeds, clockS: monotonicS() - startedS + FIRST_S }
  }

  /** The listening socket for this address, if the old process has it. Port 0: any. */
  takeListener(kind: ListenerKind, address: string, port: number): PassedListener | undefined {
    const { listeners } = this.legacy
    const index = listeners.findIndex(
      other =>
        other.kind === kind && other.address === address && (port === 0 || other.port === port),
    )
    return index < 0 ? undefined : listeners.splice(index, 1)[0]
  }

  /** The descriptor of the file of -e, if the old process has it. */
  takeMemoryFile(path: string): number | undefined {
    const { memoryFile } = this.legacy
    if (memoryFile?.path !== path) return undefined
    this.legacy.memoryFile = undefined
    return memoryFile.descriptor
  }

  takeActivated(kinds: readonly ListenerKind[]): PassedListener[] {
    const { listeners } = this.legacy
    const isTaken = ({ isActivated, kind }: PassedListener) =>
      isActivated === true && kinds.includes(kind)
    this.legacy.listeners = listeners.filter(listener => !isTaken(listener))
    return listeners.filter(isTaken)
  }

  /**
   * Takes the content, once all threads are there. Resolves when the old process runs no request
   * any more. Rejects with an Error of one line.
   */
  async receive({ shards }: Cache, workers: Workers, roster: Roster): Promise<Loaded> {
    const { layout, forms, streams } = this.legacy
    if (layout !== LAYOUT_VERSION) {
      throw new StartError('the old process lays its memory out differently: restart it')
    }
    const isSameForm = formsEqual(
      forms,
      shards.map(({ arena }) => formOf(arena)),
    )
    const ready: Ready = { ready: { isSameForm, needsSums: false } }
    process.send?.(ready)
    const said = (await this.next('content')) as Content | null
    if (said === null) throw gone()
    const { content: header, deadlineMs } = said
    const { threads } = roster.handle
    const assembly = new Assembly(threads)
    workers.relay({
      name: 'upgrade',
      gives: false,
      hasSums: false,
      keepsCounters: true,
      places: pipes(streams.length),
      board: assembly.buffer,
      workers: threads,
      header,
      streams: streams.map((descriptor, i) => ({
        descriptor,
        arenas: arenasOf(i, streams.length, header.sections.length),
      })),
      deadlineMs,
    })
    const isThere =
      assembly.gather(deadlineMs - sharedMs()) &&
      assembly.copy() &&
      assembly.copied(deadlineMs - sharedMs())
    const loaded = isThere ? assembly.sum() : nothingLoaded()
    assembly.resume()
    if (!isThere) throw new StartError('the content of the old process did not arrive')
    // If the old process has died by now, all that it ever answered is here.
    const order = (await this.next('take')) as Take | null
    if (order !== null) roster.addSums(order.take)
    return loaded
  }

  /** This process serves. Closes what the options do not ask for. */
  serving(loaded: Loaded): void {
    const { listeners, streams, memoryFile } = this.legacy
    const files = memoryFile === undefined ? listeners : [...listeners, memoryFile]
    for (const descriptor of [...streams, ...files.map(({ descriptor }) => descriptor)]) {
      closeSync(descriptor)
    }
    if (!process.connected) return
    process.send?.({ serving: loaded }, undefined, undefined, () => {
      if (process.connected) process.disconnect?.()
    })
  }

  /** The message with this field; null: the old process is gone. */
  private next(field: string): Promise<object | null> {
    const index = this.messages.findIndex(message => field in message)
    if (index >= 0) return Promise.resolve(this.messages.splice(index, 1)[0])
    if (this.isAlone || !process.connected) return Promise.resolve(null)
    return new Promise(resolve => {
      const listen = (message: object | null) => {
        if (message !== null && !(field in message)) return
        this.waiting.delete(listen)
        if (message !== null) this.messages.splice(this.messages.indexOf(message), 1)
        resolve(message)
      }
      this.waiting.add(listen)
    })
  }

  private hear(message: object | null): void {
    if (message === null) this.isAlone = true
    else this.messages.push(message)
    for (const listen of this.waiting) listen(message)
  }
}

function formsEqual(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((form, i) => form === others[i])
}

function gone(): StartError {
  return new StartError('the old process goes on without this one')
}
