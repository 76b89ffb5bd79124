// A daemon on a cache of the application: clients on the network and threads in the process share
// its items.
//
//   const cache = LocalCache.create({ memoryBytes: 512 * 2 ** 20 })
//   const daemon = await serve(cache, { port: 11211 })
//   ...
//   await daemon.close()                                        // the cache goes on
//
// The daemon has threads of its own, which attach as any other. The cache's memory lives as long as
// somebody uses it, so daemon and cache may be closed in either order. Upkeep passes on to a thread
// that is left (engine/keeper.ts).

import { Cache, type CacheHandle } from '../engine/cache.ts'
import { checkOptions } from '../options/checks.ts'
import { isRefusal, type Options } from '../options/options.ts'
import { startDaemon } from './daemon.ts'
import type { Address } from './launch.ts'
import { say } from './system/log.ts'

/** Options that the cache has decided already, and those for a process that is only a daemon. */
type Settled =
  | 'memoryLimitBytes'
  | 'evictions'
  | 'itemSizeMax'
  | 'growthFactor'
  | 'chunkMinBytes'
  | 'slabChunkMaxBytes'
  | 'slabFit'
  | 'slabSizes'
  | 'trackSizes'
  | 'hashpowerInit'
  | 'hashExpand'
  | 'hashAlgorithm'
  | 'casEnabled'
  | 'lockMemory'
  | 'largePages'
  | 'memoryFile'
  | 'user'
  | 'pidFile'
  | 'daemonize'
  | 'coreDumps'
  | 'restorePath'
  | 'restoreRequired'
  | 'restoreServing'

/** Options of the daemon. Default: one thread, on port 11211 of 127.0.0.1. */
export type ServeOptions = Partial<Omit<Options, Settled>>

export interface Served {
  /** Where it listens for TCP, in the order of the options. */
  addresses: Address[]
  /**
   * Resolves when no worker is left and none can be started, with the reason in one line. The
   * daemon then closes by itself.
   */
  failed: Promise<string>
  /** Reads password files and certificates again. */
  reload(): void
  /** Stops listening, closes all connections and the daemon's threads. The cache goes on. */
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const PORT = 11211

/**
 * Starts a daemon on this cache, in this process. Resolves when it accepts connections. Rejects
 * with an Error of one line for invalid options or an address that cannot be bound.
 */
export async function serve(
  { handle }: { handle: CacheHandle },
  options: ServeOptions = {},
): Promise<Served> {
  const cache = Cache.attach(handle)
  const { port = PORT, listen = [{ host: HOST, port }] } = options
  const checked = checkOptions({
    threads: 1,
    ...options,
    port,
    listen,
    memoryLimitBytes: cache.memoryLimitBytes(),
    itemSizeMax: cache.itemBytesMax(),
    evictions: cache.evicts(),
  })
  if (isRefusal(checked)) throw new Error(checked.line)
  const { addresses, failed, reload, close } = await startDaemon(checked, cache)
  void failed.then(line => {
    say(line)
    return close()
  })
  return { addresses, failed, reload, close }
}
