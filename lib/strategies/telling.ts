// What strategies tell the channels: reads, loads, and errors that did not reach a caller. Without
// subscribers nothing is made.

import {
  STRATEGY_ERRORS,
  STRATEGY_LOADS,
  STRATEGY_READS,
  type StrategyError,
  type StrategyLoad,
  type StrategyRead,
  TIER_READS,
  type TierRead,
} from '../doors/channels.ts'

export function tellRead(key: string, outcome: StrategyRead['outcome']): void {
  if (!STRATEGY_READS.hasSubscribers) return
  const message: StrategyRead = { key, outcome }
  STRATEGY_READS.publish(message)
}

export function tellTier(keys: number, nearHits: number, isFresh: boolean): void {
  if (!TIER_READS.hasSubscribers) return
  const message: TierRead = { keys, nearHits, isFresh }
  TIER_READS.publish(message)
}

export function tellError(key: string, error: unknown): void {
  if (!STRATEGY_ERRORS.hasSubscribers) return
  const message: StrategyError = { key, error }
  STRATEGY_ERRORS.publish(message)
}

/** Loads, and tells the channel how it ended. */
export async function told<T>(key: string, load: () => Promise<T>): Promise<T> {
  if (!STRATEGY_LOADS.hasSubscribers) return load()
  const beganMs = performance.now()
  const tell = (error: unknown) => {
    const message: StrategyLoad = { key, ms: performance.now() - beganMs, error }
    STRATEGY_LOADS.publish(message)
  }
  try {
    const value = await load()
    tell(undefined)
    return value
  } catch (error) {
    tell(error)
    throw error
  }
}
