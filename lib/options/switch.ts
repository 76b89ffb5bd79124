// A switch of the command line.

import type { Given } from './values.ts'

/** Prints something instead of starting a daemon. */
export type Action = 'help' | 'version' | 'license'

export interface Switch {
  /** Empty if it has only a long name: those are memslab's own. */
  letter: string
  name: string
  /** Its value in the help; undefined: it takes none. */
  value?: string
  help: string[]
  action?: Action
  /** Refused, because memslab does not have this. */
  missing?: string
  /** Accepted without effect: the warning. */
  idle?: string
  /** Repeated, its values are joined with commas. */
  adds?: boolean
  /** Reads the value; undefined: the option is accepted without effect. */
  read?: (text: string) => Given
}
