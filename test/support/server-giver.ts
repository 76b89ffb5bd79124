// A thread that frees the only slot of a roster whenever it is taken, until its time is over.

import { workerData } from 'node:worker_threads'
import { Roster, type RosterHandle } from '../../lib/server/roster.ts'

const { handle, ms }: { handle: RosterHandle; ms: number } = workerData
const roster = new Roster(handle)
const end = performance.now() + ms
while (performance.now() < end) {
  for (let i = 0; i < 1000; i++) if (roster.current() > 0) roster.give(0)
}
