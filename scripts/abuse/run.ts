// One attack on one server, with the neighbour beside it.

import { setTimeout as sleep } from 'node:timers/promises'
import { hasEnded, stderrOf } from '../bench/processes.ts'
import type { Attack } from './attack.ts'
import { type ServerSpec, startServer, stopServer } from './servers.ts'
import {
  hear,
  type NeighbourReport,
  type Noticed,
  startAttacker,
  startNeighbour,
} from './threads.ts'

/** The neighbour talks for so long before its times count: programs compile what runs often. */
const WARM_UP_MS = 1000

export interface Outcome {
  seen: NeighbourReport
  /** What went wrong: wrong values, lost peers, a server that ended. */
  faults: string[]
}

/** Runs it for `seconds`, on a server of its own. */
export async function runAttack(
  attack: Attack | null,
  spec: ServerSpec,
  seconds: number,
): Promise<Outcome> {
  const server = await startServer(spec, attack?.need)
  const neighbour = startNeighbour(server.port, attack?.need === 'login')
  const faults: string[] = []
  try {
    await hear(neighbour)
    const attacker = attack === null ? null : startAttacker(attack.name, server)
    if (attacker !== null) await hear(attacker)
    await sleep(WARM_UP_MS)
    neighbour.postMessage('time')
    attacker?.postMessage('start')
    await sleep(seconds * 1000)
    neighbour.postMessage('end')
    const seen = await hear<NeighbourReport>(neighbour)
    if (seen.wrong > 0) faults.push(`${seen.wrong} wrong for the neighbour: ${seen.reason}`)
    if (attacker !== null) faults.push(...(await endAttacker(attacker)))
    if (hasEnded(server.process)) faults.push(`it ended: ${stderrOf(server.process)}`)
    return { seen, faults }
  } finally {
    await neighbour.terminate()
    await stopServer(server)
  }
}

async function endAttacker(attacker: ReturnType<typeof startAttacker>): Promise<string[]> {
  const noticed = hearLast(attacker)
  attacker.postMessage('end')
  const { lost, reason } = await noticed
  return lost > 0 ? [`${lost} peers lost: ${reason}`] : []
}

/** An attack may still be opening its peers: its next message may be that it has started. */
async function hearLast(attacker: ReturnType<typeof startAttacker>): Promise<Noticed> {
  for (;;) {
    const message = await hear<Noticed | 'started'>(attacker)
    if (message !== 'started') return message
  }
}
