// What one process leaves to the next, and what they say to each other. The old process starts the
// new one with a variable that names the descriptors, and a channel between them:
//
//   old: starts new ...
//   new: Ready         it can serve: its threads are there, its options and files are right
//   old: Content       no request is run any more; the arenas come through the streams
//   old: Take          it has all arenas: from now on the new process serves, and the old one ends
//   new: Serving

import type { ImageHeader } from '../../keeping/image/image-header.ts'
import type { Loaded } from '../../keeping/image/load-arena.ts'
import type { PassedFile } from '../../keeping/image/memory-file.ts'
import type { PassedListener } from '../listen/address.ts'

/** Names the legacy for the new process. */
export const LEGACY_VARIABLE = 'MEMSLAB_LEGACY'

export interface Legacy {
  /** How the arenas are laid out (LAYOUT_VERSION), and the form of each (adopt.ts). */
  layout: number
  forms: string[]
  seeds: readonly [number, number]
  /** When the clock of the arenas was at its first second (CacheHandle). */
  startedS: number
  /** When the statistics began, on that clock. */
  countedSinceS: number
  listeners: PassedListener[]
  /** The file of -e, which stays locked. */
  memoryFile?: PassedFile | undefined
  /** Descriptors that the arenas come through. */
  streams: number[]
}

export interface Ready {
  /** Whether its arenas have the form of the old ones; else the items go over one by one. */
  ready: {
    isSameForm: boolean
    /** Whether it looks at sums; undefined: it is of a version that does. */
    needsSums?: boolean
  }
}

export interface Content {
  content: ImageHeader
  deadlineMs: number
}

export interface Take {
  /** Sums of the old process's threads, by ThreadCounter. */
  take: number[]
}

export interface Serving {
  serving: Loaded
}

/** Which of the streams an arena goes through. */
export function arenasOf(stream: number, streams: number, arenas: number): number[] {
  const found: number[] = []
  for (let index = stream; index < arenas; index += streams) found.push(index)
  return found
}
