// Entry of the load process: drives one server with one case. Its parent (driver.ts) sends one task
// at a time: prepare, then any number of runs. On a failure it sends one message and exits. It also
// exits when the parent does.

import { connect } from 'node:net'
import { DIALECTS } from './dialects.ts'
import type { LoadReply, LoadResult, LoadTask, Place } from './driver.ts'
import { Pace } from './pace.ts'
import { excerpt, Peer, Run } from './peer.ts'
import { Requests, randomFrom } from './requests.ts'

const CONNECTS_AT_ONCE = 50
const STALL_MS = 10_000

let requests: Requests
let random: () => number
let peers: Peer[] = []

process.on('message', (task: LoadTask) => {
  perform(task).then(answer, fail)
})
process.on('disconnect', () => process.exit(0))
process.on('uncaughtException', fail)

async function perform(task: LoadTask): Promise<LoadReply> {
  if (task.kind === 'run') {
    return { kind: 'result', result: await measure(task.seconds, task.ratePerS) }
  }
  requests = new Requests(task.load, task.seed)
  random = randomFrom(task.seed + 1)
  await preload(task.place.port)
  peers = await connectPeers(task.place, task.load.connections)
  return { kind: 'ready' }
}

async function measure(seconds: number, ratePerS: number | undefined): Promise<LoadResult> {
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  const run = await runUntilIdle(startMs + seconds * 1000, ratePerS)
  const cpu = process.cpuUsage(cpuBefore)
  return {
    requestCount: run.batchCount * requests.load.depth,
    seconds: (run.lastReplyMs - startMs) / 1000,
    loadCpuUs: cpu.user + cpu.system,
    p50Us: run.histogram.percentileUs(50),
    p99Us: run.histogram.percentileUs(99),
    p999Us: run.histogram.percentileUs(99.9),
    longestUs: run.histogram.longestUs,
    sampleCount: run.sampleCount,
  }
}

function runUntilIdle(deadlineMs: number, ratePerS: number | undefined): Promise<Run> {
  return new Promise((resolve, reject) => {
    const stalled = () => {
      const waiting = peers.filter(peer => peer.isWaiting)
      const first = waiting[0]?.describe()
      reject(new Error(`no complete reply on ${waiting.length} connections, the first ${first}`))
    }
    const timer = setTimeout(stalled, deadlineMs - performance.now() + STALL_MS)
    const run = new Run(deadlineMs, ratePerS !== undefined, () => {
      clearTimeout(timer)
      resolve(run)
    })
    for (const peer of peers) peer.start(run)
    if (ratePerS !== undefined) {
      new Pace(run, peers, ratePerS / requests.load.depth, random).begin()
    }
  })
}

async function connectPeers(place: Place, count: number): Promise<Peer[]> {
  const connected: Peer[] = []
  while (connected.length < count) {
    const length = Math.min(CONNECTS_AT_ONCE, count - connected.length)
    const group = Array.from({ length }, () => Peer.connect(place, requests, random))
    connected.push(...(await Promise.all(group)))
  }
  return connected
}

// Stores every key, one batch at a time. Any reply but STORED is an error.
async function preload(port: number): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  const parts: AsyncIterator<Buffer> = socket[Symbol.asyncIterator]()
  const { stored } = DIALECTS.text
  for (const { bytes, requestCount } of requests.preload()) {
    const wanted = Buffer.alloc(requestCount * stored.length, stored)
    socket.write(bytes)
    for (let received = 0; received < wanted.length; ) {
      const part = await parts.next()
      if (part.done === true) throw new Error('the server closed the preloading connection')
      const end = received + part.value.length
      if (!part.value.equals(wanted.subarray(received, end))) {
        throw new Error(`unexpected reply to a set of the preload: ${excerpt(part.value)}`)
      }
      received = end
    }
  }
  socket.destroy()
}

function answer(reply: LoadReply): void {
  process.send?.(reply)
}

function fail(error: Error): void {
  if (!process.connected) process.exit(1)
  process.send?.({ kind: 'failed', message: error.message }, () => process.exit(1))
}
