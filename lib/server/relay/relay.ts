// What a worker does while the content goes from one process to the next: it stands still with the
// others and copies its streams, in the old process out of the arenas, in the new one into them.
//
//   old -- image of arena, image of arena ... --> new
//   old <-- TAKEN, or nothing ------------------- new

import type { Cache } from '../../engine/cache.ts'
import { writeArena } from '../../keeping/image/arena-image.ts'
import { Channel, sharedMs } from '../../keeping/image/channel.ts'
import type { ImageHeader } from '../../keeping/image/image-header.ts'
import { addLoaded, loadArena, nothingLoaded } from '../../keeping/image/load-arena.ts'
import { say } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import { Assembly } from './assembly.ts'

/** A descriptor that some arenas go through, one after the other. */
export interface Stream {
  descriptor: number
  arenas: number[]
}

/** Sent through the port of each worker. */
export interface Relay {
  gives: boolean
  board: SharedArrayBuffer
  workers: number
  /** Null if it gives. */
  header: ImageHeader | null
  streams: Stream[]
  /** When a worker gives up, on the clock of `sharedMs`. */
  deadlineMs: number
}

const TAKEN = 1

/** Takes part. True: the process runs no request any more. */
export function takePart(relay: Relay, worker: number, cache: Cache): boolean {
  const { deadlineMs, workers } = relay
  const assembly = new Assembly(workers, relay.board)
  if (!assembly.park(deadlineMs, sharedMs)) return false
  let isCopied = true
  try {
    for (const [index, stream] of relay.streams.entries()) {
      if (index % workers !== worker) continue
      if (relay.gives) give(relay, stream, cache)
      else take(relay, stream, cache, assembly, worker)
    }
  } catch (error) {
    isCopied = false
    say(
      `upgrade: ${relay.gives ? 'giving' : 'taking'} the content failed: ${reasonOf(error)}`,
      'error',
    )
  }
  return assembly.settle(isCopied, deadlineMs, sharedMs)
}

function give({ deadlineMs }: Relay, { descriptor, arenas }: Stream, { shards }: Cache): void {
  const channel = new Channel(descriptor, null, deadlineMs)
  for (const index of arenas) writeArena(shards[index].arena, channel)
  const answer = Buffer.alloc(1)
  const length = channel.read(answer, 0, 1)
  if (length === 0 || answer[0] !== TAKEN) throw new Error('the new process did not take it')
}

function take(
  { header, deadlineMs }: Relay,
  { descriptor, arenas }: Stream,
  cache: Cache,
  assembly: Assembly,
  worker: number,
): void {
  if (header === null) return
  const channel = new Channel(descriptor, null, deadlineMs)
  const sum = nothingLoaded()
  for (const index of arenas) addLoaded(sum, loadArena(cache, header, index, channel, true))
  if (sum.lostArenas + sum.lostPages > 0) throw new Error('it did not arrive whole')
  assembly.note(worker, sum)
  channel.write(Buffer.from([TAKEN]), 0, 1)
}
