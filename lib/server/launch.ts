// The public interface of a daemon that a program starts in its own process. The types of this file
// do not refer to internals of the server.

import type { Options } from '../options/options.ts'
import { startDaemon as start } from './daemon.ts'

/** Where a daemon listens for TCP. */
export interface Address {
  address: string
  family: string
  port: number
}

export interface Daemon {
  /** Where it listens for TCP, in the order of the options. */
  addresses: Address[]
  /** Resolves when no worker is left and none can be started, with the reason in one line. */
  failed: Promise<string>
  /** Reads password files and certificates again. */
  reload(): void
  /** Stops listening, closes all connections and ends all workers. */
  close(): Promise<void>
}

/**
 * Resolves when every listener accepts. Rejects with an Error of one line. `options` come from
 * `checkOptions`.
 */
export async function startDaemon(options: Options): Promise<Daemon> {
  const { addresses, failed, reload, close } = await start(options)
  return { addresses, failed, reload, close }
}
