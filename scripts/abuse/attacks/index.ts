// All attacks, in the order in which they run.

import type { Attack } from '../attack.ts'
import { metadumps } from './dumps.ts'
import { appends, hits5, hits50, quietSets } from './pipelines.ts'
import { slowBytes, stalledReads, stalledUploads } from './stalled.ts'
import { datagrams, garbage, guesses } from './strangers.ts'
import { handshakes, keyUpdates } from './tls.ts'

export const ATTACKS: readonly Attack[] = [
  hits50,
  hits5,
  quietSets,
  metadumps,
  appends,
  stalledReads,
  stalledUploads,
  keyUpdates,
  handshakes,
  datagrams,
  guesses,
  slowBytes,
  garbage,
]

export function attackOf(name: string): Attack {
  const found = ATTACKS.find(attack => attack.name === name)
  if (found === undefined) throw new Error(`there is no attack ${name}`)
  return found
}
