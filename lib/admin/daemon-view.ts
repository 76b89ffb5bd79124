// What the admin listener knows of its daemon, and what it may tell and do.

import type { Host } from '../protocol/host.ts'
import type { MainFacts } from './metrics/facts.ts'

export interface DaemonView {
  host: Host
  main: MainFacts
  /** Where clients connect, as in `stats conns`. */
  places: readonly string[]
  /** It tells keys, values, peers and settings: not where clients log in and operators do not. */
  tellsKeys: boolean
  /** Operators may delete, flush and change settings. */
  mayWrite: boolean
  /** Whether the daemon is closing. */
  isClosing(): boolean
  /** Share of the restore that is done, 0 to 1; null: none is under way. */
  restored(): number | null
}
