// The options of cache-aside, checked.

import {
  checkOptions,
  checkSerializer,
  checkType,
  numberOption,
  refuse,
  TIMER_MS_MAX,
} from '../doors/arguments.ts'
import type { Serializer } from '../serializer.ts'
import { isNone } from './encoding.ts'
import { type OnError, reporter } from './reporter.ts'
import { SourceGuard } from './source-guard.ts'

/** Default time-out of a loader. */
const LOAD_MS = 5000

/**
 * By default values expire up to this share of their TTL earlier, so that not all expire at once.
 */
const TTL_JITTER = 0.1

const { MAX_VALUE: MOST, MIN_VALUE: ABOVE_0, POSITIVE_INFINITY: NEVER } = Number

export interface AsideOptions {
  /** How long a value is fresh, seconds; Infinity: until it is evicted or deleted. */
  ttlS: number
  /** How long it is still served while a caller loads the next one, seconds. Default 0. */
  staleS?: number | undefined
  /**
   * How long a missing value (null, undefined) is cached, seconds. Default 0: not at all.
   */
  negativeTtlS?: number | undefined
  /** Values expire up to this share of `ttlS` earlier, at random. 0 to 1, default 0.1. */
  jitter?: number | undefined
  /**
   * Time-out of a loader, ms; then its callers' promises reject with DEADLINE. Default 5000.
   */
  loadMs?: number | undefined
  /** Bounds the loads. Default: 100 at once; one for each CacheAside. */
  guard?: SourceGuard | undefined
  /** For values that are neither strings nor bytes. Default `json`. */
  serializer?: Serializer | undefined
  /** Called with errors of the cache and of loads in the background. Default: a warning. */
  onError?: OnError | undefined
}

const NAMES: Record<keyof Required<AsideOptions>, true> = {
  ttlS: true,
  staleS: true,
  negativeTtlS: true,
  jitter: true,
  loadMs: true,
  guard: true,
  serializer: true,
  onError: true,
}
export const ASIDE_NAMES: readonly string[] = Object.keys(NAMES)

/** The options with their defaults. */
export interface AsideSettings {
  ttlS: number
  staleS: number
  negativeTtlS: number
  jitter: number
  loadMs: number
  guard: SourceGuard
  serializer: Serializer | undefined
  report: OnError
}

/** Tags of the item of a call. */
export interface KeyOptions {
  /** The item is invalidated by `tags.invalidate` of one of these. */
  tags?: readonly string[] | undefined
}

/** How one call differs from the options of its CacheAside. */
export interface StoreOptions extends KeyOptions, Pick<AsideOptions, 'staleS' | 'negativeTtlS'> {
  ttlS?: number | undefined
}

export interface CallOptions extends StoreOptions {
  /** Loads and stores the value whatever the cache has. Default false. */
  refresh?: boolean | undefined
  /** Ends the call; a load that others wait for goes on. */
  signal?: AbortSignal | undefined
}

const CALL_NAMES = ['tags', 'ttlS', 'staleS', 'negativeTtlS', 'refresh', 'signal']

/** The settings of one call. CacheError ARGUMENT for wrong options. */
export function termsOf(call: CallOptions | undefined, settings: AsideSettings): AsideSettings {
  if (call === undefined) return settings
  checkOptions(call, CALL_NAMES)
  checkType('refresh', call.refresh, 'boolean')
  const { signal } = call
  if (!(signal === undefined || signal instanceof AbortSignal)) {
    refuse('signal', 'an AbortSignal', signal)
  }
  return {
    ...settings,
    ttlS: numberOption(call, 'ttlS', settings.ttlS, [ABOVE_0, NEVER]),
    staleS: Math.ceil(numberOption(call, 'staleS', settings.staleS, [0, MOST])),
    negativeTtlS: numberOption(call, 'negativeTtlS', settings.negativeTtlS, [0, NEVER]),
  }
}

/** The tags of a call. CacheError ARGUMENT. */
export function tagsOf({ tags = [] }: KeyOptions): readonly string[] {
  const isList = Array.isArray(tags) && tags.every(tag => typeof tag === 'string')
  return isList ? tags : refuse('tags', 'a list of strings', tags)
}

/** CacheError ARGUMENT for wrong options. */
export function settingsOf(options: AsideOptions): AsideSettings {
  checkOptions(options, ASIDE_NAMES)
  checkSerializer(options.serializer)
  checkType('onError', options.onError, 'function')
  return {
    ttlS: numberOption(options, 'ttlS', Number.NaN, [ABOVE_0, NEVER]),
    staleS: Math.ceil(numberOption(options, 'staleS', 0, [0, MOST])),
    negativeTtlS: numberOption(options, 'negativeTtlS', 0, [0, NEVER]),
    jitter: numberOption(options, 'jitter', TTL_JITTER, [0, 1]),
    loadMs: numberOption(options, 'loadMs', LOAD_MS, [ABOVE_0, TIMER_MS_MAX]),
    guard: guardOf(options.guard),
    serializer: options.serializer,
    report: reporter(options.onError),
  }
}

function guardOf(guard: unknown): SourceGuard {
  if (guard === undefined) return new SourceGuard()
  return guard instanceof SourceGuard ? guard : refuse('guard', 'a SourceGuard', guard)
}

/** How long a value is kept, seconds; undefined: it is not stored. */
export function keepS(
  value: unknown,
  { ttlS, staleS, negativeTtlS, jitter }: AsideSettings,
): number | undefined {
  if (isNone(value) && negativeTtlS <= 0) return undefined
  const freshS = isNone(value) ? negativeTtlS : ttlS * (1 - jitter * Math.random())
  return Math.max(1, freshS) + staleS
}
