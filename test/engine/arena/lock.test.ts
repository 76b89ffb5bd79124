// The mutex of an arena when the process was stopped for a while: the clock of this thread jumps,
// as it does when the process continues.

import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { HEADER_WORDS, LOCK } from '../../../lib/engine/arena/layout.ts'
import { lock, lockWithin, unlock } from '../../../lib/engine/arena/lock.ts'
import { LOCK_WAIT_MS_MAX } from '../../../lib/engine/limits.ts'

const HELD_MS = 120
const OTHER = 7
const OWN = 8

/** Frees the lock after some time, and reports when that time begins. */
const RELEASE = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { words, at, heldMs } = workerData
  parentPort.postMessage('waits')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, heldMs)
  Atomics.store(words, at, 0)
  Atomics.notify(words, at)
`

t.test('a pause does not make a thread give up a lock whose holder goes on', async t => {
  const words = lockedWords()
  await releaseLater(t, words)
  const pause = jumpingClock(t)
  lock(words, OWN)
  t.ok(pause.ms > LOCK_WAIT_MS_MAX, `${pause.ms} ms passed on the clock`)
  unlock(words)
})

t.test('a lock freed at the last moment is taken', async t => {
  const words = lockedWords()
  await releaseLater(t, words)
  const { wait } = Atomics
  // The sleep ends by its time-out, and the lock is free by then.
  Atomics.wait = ((...args: Parameters<typeof wait>) => {
    const outcome = wait(...args)
    while (Atomics.load(words, LOCK) !== 0) wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    return outcome
  }) as typeof wait
  t.teardown(() => {
    Atomics.wait = wait
  })
  t.ok(lockWithin(words, OWN, 1))
})

t.test('a lock that nobody frees is given up, whatever the clock does', async t => {
  const words = lockedWords()
  t.notOk(lockWithin(words, OWN, HELD_MS))
  jumpingClock(t)
  t.notOk(lockWithin(words, OWN, HELD_MS))
})

function lockedWords(): Int32Array<SharedArrayBuffer> {
  const words = new Int32Array(new SharedArrayBuffer(HEADER_WORDS * 4))
  lock(words, OTHER)
  return words
}

async function releaseLater(t: Test, words: Int32Array<SharedArrayBuffer>): Promise<void> {
  const workerData = { words, at: LOCK, heldMs: HELD_MS }
  const worker = new Worker(RELEASE, { eval: true, workerData })
  t.teardown(() => worker.terminate())
  await new Promise(waits => worker.once('message', waits))
}

/** From now on each read of the clock is later than the last by more than the longest wait. */
function jumpingClock(t: Test): { ms: number } {
  const { now } = performance
  const pause = { ms: 0 }
  performance.now = () => {
    pause.ms += LOCK_WAIT_MS_MAX + 1
    return now.call(performance) + pause.ms
  }
  t.teardown(() => {
    performance.now = now
  })
  return pause
}
