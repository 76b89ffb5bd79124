// -e: the content outlives the process in a file (keeping/image/memory-file.ts). It is loaded
// before the first connection is served, and written when the daemon ends. Whatever is wrong with
// the file is one line in the log: the daemon serves all the same.

import { setTimeout as sleep } from 'node:timers/promises'
import { GIB, MIB } from '../../bytes/units.ts'
import type { Cache } from '../../engine/cache.ts'
import type { Past } from '../../engine/create.ts'
import { headerOf, type ImageHeader, pastOf } from '../../keeping/image/image-header.ts'
import type { Loaded } from '../../keeping/image/load-arena.ts'
import { MemoryFile, type PassedFile, sectionAt } from '../../keeping/image/memory-file.ts'
import { lockFile } from '../native/file-lock.ts'
import { Assembly } from '../relay/assembly.ts'
import { places, type Relay } from '../relay/relay.ts'
import { say } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import { StartError } from '../system/start-error.ts'
import type { Workers } from '../workers.ts'
import { LOAD_MS_MIN, LOAD_MS_PER_GIB } from './limits.ts'
import type { Successor } from './new-process.ts'

/** How often it looks whether the file is written. */
const SAVE_POLL_MS = 5

export class WarmRestart {
  /** Null: it could not be opened, and there is nothing to write to. */
  private readonly file: MemoryFile | null
  private header: ImageHeader | null = null
  private readonly name: string

  /** `before`: the process that this one goes on from, with the content; undefined: none. */
  constructor(path: string, before: Successor | undefined) {
    this.name = `-e ${path}`
    const given = before?.takeMemoryFile(path)
    this.file = this.attempt(() => new MemoryFile(path, lockFile, given), 'nothing is kept')
    const { file } = this
    if (file === null || before !== undefined) return
    this.header = this.attempt(() => {
      const header = file.readHeader()
      if (header !== null) file.noteLoad()
      return header
    }, 'the cache starts empty')
    if (this.header === null) this.attempt(() => file.clear(), 'it stays as it is')
  }

  /** What another process needs to go on with it; undefined: nothing is kept. */
  passed(): PassedFile | undefined {
    return this.file?.passed()
  }

  /** What the cache goes on from; undefined: nothing. */
  past(): Past | undefined {
    return this.header === null ? undefined : pastOf(this.header)
  }

  /** Loads the image, if there is one. The workers have started and serve nobody. Waits. */
  load(workers: Workers, threads: number): void {
    const { file, header } = this
    this.header = null
    if (file === null || header === null) return
    const startedMs = performance.now()
    const assembly = new Assembly(threads)
    const begin = places(header.sections.map((_, index) => sectionAt(header, index)))
    workers.relay(this.relay(file, assembly, begin, header))
    const limitMs = LOAD_MS_MIN + (bytesOf(header) / GIB) * LOAD_MS_PER_GIB
    const isLoaded = assembly.gather(LOAD_MS_MIN) && assembly.copy() && assembly.copied(limitMs)
    if (!assembly.isDone) {
      // A thread may still write to an arena, or is dead: nothing of this can be served.
      throw new StartError(`${this.name}: it was not loaded in ${Math.round(limitMs / 1000)} s`)
    }
    assembly.resume()
    // From here on the image is old.
    this.attempt(() => file.clear(), 'it stays as it is')
    if (!isLoaded) say(`${this.name}: not all of it was read`, 'error')
    say(`${this.name}: ${came(assembly.sum(), header)} in ${secondsSince(startedMs)}`)
  }

  /** Writes the image. No request is run any more when it resolves. */
  async save(workers: Workers, threads: number, cache: Cache, ownVersion: string): Promise<void> {
    const { file } = this
    if (file === null) return
    const startedMs = performance.now()
    const assembly = new Assembly(threads)
    const begin = places(cache.shards.map(() => 0))
    workers.relay(this.relay(file, assembly, begin, null))
    const isSaving = this.attempt(() => {
      if (!assembly.gather(LOAD_MS_MIN)) throw new Error('a thread does not stand still')
      // Only now nothing grows any more.
      const header = headerOf(cache, ownVersion)
      file.begin(header)
      for (const index of begin.keys()) begin[index] = sectionAt(header, index)
      return assembly.copy()
    }, 'nothing is kept')
    if (isSaving !== true) return assembly.resume()
    // The main thread stays awake: another signal ends the process at once.
    while (!assembly.isDone) await sleep(SAVE_POLL_MS)
    assembly.leave()
    await file.sync().catch((error: unknown) => {
      say(`${this.name}: ${reasonOf(error)}; it may be lost with the machine`, 'error')
    })
    const { bytes } = assembly.sum()
    const kept = assembly.hasFailed ? 'only a part is kept' : `${cache.itemCount()} items are kept`
    say(`${this.name}: ${kept}, ${Math.round(bytes / MIB)} MiB, in ${secondsSince(startedMs)}`)
  }

  private relay(
    file: MemoryFile,
    assembly: Assembly,
    begin: Float64Array<SharedArrayBuffer>,
    header: ImageHeader | null,
  ): Relay {
    return {
      name: this.name,
      gives: header === null,
      hasSums: true,
      board: assembly.buffer,
      workers: assembly.workers,
      header,
      streams: Array.from(begin, (_, index) => {
        return { descriptor: file.descriptor, arenas: [index] }
      }),
      places: begin,
      keepsCounters: false,
      deadlineMs: Number.POSITIVE_INFINITY,
    }
  }

  private attempt<T>(work: () => T, otherwise: string): T | null {
    try {
      return work()
    } catch (error) {
      say(`${this.name}: ${reasonOf(error)}; ${otherwise}`, 'error')
      return null
    }
  }
}

function came(
  { items, bytes, lostPages, lostArenas, carried }: Loaded,
  header: ImageHeader,
): string {
  const lost = [
    ...(lostPages > 0 ? [`${lostPages} damaged pages were left out`] : []),
    ...(lostArenas > 0 ? [`${lostArenas} of ${header.sections.length} parts cannot be used`] : []),
    ...(carried > 0 ? [`${carried} items one by one`] : []),
  ]
  const back = `${items} of ${header.items} items came back, ${Math.round(bytes / MIB)} MiB`
  return [back, ...lost].join(', ')
}

function bytesOf({ sections }: ImageHeader): number {
  return sections.reduce((sum, { imageBytes }) => sum + imageBytes, 0)
}

function secondsSince(startedMs: number): string {
  return `${((performance.now() - startedMs) / 1000).toFixed(2)} s`
}
