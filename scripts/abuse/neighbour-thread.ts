// Thread of a neighbour: nothing but the server and the machine slows it down.

import { parentPort, workerData } from 'node:worker_threads'
import { Neighbour } from './neighbour.ts'
import type { NeighbourReport } from './threads.ts'

const { port, logsIn } = workerData as { port: number; logsIn: boolean }
const neighbour = new Neighbour(port, logsIn)
const { run } = await neighbour.open()
parentPort?.postMessage('opened')
parentPort?.once('message', () => {
  neighbour.time()
  parentPort?.once('message', async () => {
    neighbour.end()
    await run
    const { requests, connects, misses, refused, wrong, reason } = neighbour.seen
    const timesOf = ({ total, longestUs, counts }: typeof requests) => ({
      total,
      longestUs,
      counts,
    })
    const times = { requests: timesOf(requests), connects: timesOf(connects) }
    parentPort?.postMessage({ ...times, misses, refused, wrong, reason } satisfies NeighbourReport)
    process.exit(0)
  })
})
