// Checks the options of LocalCache.create and attach. A wrong one throws CacheError ARGUMENT.

import {
  checkChoice,
  checkOptions,
  checkSerializer,
  checkType,
  countOption,
  numberOption,
  refuse,
} from '../doors/arguments.ts'
import type { CacheHandle } from '../engine/cache.ts'
import { ARENAS_MAX, EVICTIONS } from '../engine/limits.ts'
import type { AttachOptions, LocalCacheOptions } from './types.ts'

type Check = readonly [min: number, max: number] | 'whole' | 'boolean' | 'other'

const MAX = Number.MAX_SAFE_INTEGER

/** All options and their types. `other` is checked separately below. */
const CREATE_OPTIONS: Record<keyof Required<LocalCacheOptions>, Check> = {
  memoryBytes: [1, MAX],
  shards: 'other',
  itemBytesMax: 'whole',
  growthFactor: [1, 1024],
  chunkBytesMin: 'whole',
  chunkBytesMax: 'whole',
  evictions: 'boolean',
  trackSizes: 'boolean',
  chunkBytes: 'other',
  hashpower: 'whole',
  tableGrows: 'boolean',
  cas: 'boolean',
  crawler: 'boolean',
  crawlerSleepUs: [0, MAX],
  crawlerItemsMax: [0, MAX],
  reassign: 'boolean',
  automove: [0, 2],
  automoveRatio: [0, 1],
  automoveWindowS: [0, MAX],
  headroom: 'boolean',
  fitted: 'boolean',
  eviction: 'other',
  hotPercent: [0, 100],
  warmPercent: [0, 100],
  hotFactor: [0, MAX],
  warmFactor: [0, MAX],
  temporaryTtlS: [0, MAX],
  maintainer: 'boolean',
  serializer: 'other',
}
const CREATE_NAMES = Object.keys(CREATE_OPTIONS)
const ATTACH_NAMES: (keyof AttachOptions)[] = ['serializer']

export function checkCreateOptions(options: LocalCacheOptions): void {
  if (options === undefined) refuse('options', 'an object with memoryBytes', options)
  checkOptions(options, CREATE_NAMES)
  for (const [name, check] of Object.entries(CREATE_OPTIONS)) checkOption(options, name, check)
  if (options.memoryBytes === undefined) refuse('memoryBytes', 'bytes above 0', undefined)
  countOption(options, 'shards', 1, [1, ARENAS_MAX])
  checkChoice('eviction', options.eviction, EVICTIONS)
  checkSerializer(options.serializer)
  const { chunkBytes } = options
  const isList = chunkBytes === undefined || (Array.isArray(chunkBytes) && chunkBytes.every(isSize))
  if (!isList) refuse('chunkBytes', 'a list of sizes in bytes', chunkBytes)
}

export function checkAttach(handle: CacheHandle, options: AttachOptions): void {
  const arenas: unknown = handle?.arenas
  const isHandle = Array.isArray(arenas) && arenas.every(part => part instanceof SharedArrayBuffer)
  if (!isHandle) refuse('handle', 'that of a LocalCache', handle)
  checkOptions(options, ATTACH_NAMES)
  checkSerializer(options.serializer)
}

function checkOption(options: object, name: string, check: Check): void {
  const given = (options as Record<string, unknown>)[name]
  if (given === undefined || check === 'other') return
  const only = { [name]: given }
  if (check === 'boolean') checkType(name, given, 'boolean')
  else if (check === 'whole') countOption(only, name, 0, [1, MAX])
  else numberOption(only, name, 0, check)
}

function isSize(size: unknown): boolean {
  return Number.isInteger(size) && (size as number) > 0
}
