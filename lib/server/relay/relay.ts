// What a worker does while the content goes to another process or comes from one: it stands still
// with the others and copies its streams, out of the arenas or into them. A stream is a pipe, or a
// part of a file.
//
//   old -- image of arena, image of arena ... --> pipe --> new
//   old <-- TAKEN, or nothing ------------------- pipe --- new

import type { Cache } from '../../engine/cache.ts'
import { writeArena } from '../../keeping/image/arena-image.ts'
import { Channel, sharedMs } from '../../keeping/image/channel.ts'
import type { ImageHeader } from '../../keeping/image/image-header.ts'
import { addLoaded, type Loaded, loadArena, nothingLoaded } from '../../keeping/image/load-arena.ts'
import { say } from '../system/log.ts'
import { reasonOf } from '../system/reason.ts'
import { Assembly } from './assembly.ts'

/** A descriptor that some arenas go through, one after the other. */
export interface Stream {
  descriptor: number
  arenas: number[]
}

/** Instead of a place in a file. */
export const PIPE = -1

/** Sent through the port of each worker. */
export interface Relay {
  /** What it is for, before its lines in the log. */
  name: string
  gives: boolean
  board: SharedArrayBuffer
  workers: number
  /** Null if it gives. */
  header: ImageHeader | null
  streams: Stream[]
  /** Where each stream begins in its file, or PIPE; known when all threads stand still. */
  places: Float64Array<SharedArrayBuffer>
  /** What it gives has sums. */
  hasSums: boolean
  /** The counters of the arenas go on too. */
  keepsCounters: boolean
  /** When a worker gives up, on the clock of `sharedMs`. */
  deadlineMs: number
}

const TAKEN = 1

/** Takes part. True: the process runs no request any more. */
export function takePart(relay: Relay, worker: number, cache: Cache): boolean {
  const { name, streams, gives, deadlineMs, workers } = relay
  const assembly = new Assembly(workers, relay.board)
  if (!assembly.park(deadlineMs, sharedMs)) return false
  let isCopied = true
  const sum = nothingLoaded()
  try {
    for (const [index, stream] of streams.entries()) {
      if (index % workers !== worker) continue
      const place = relay.places[index] === PIPE ? null : relay.places[index]
      const channel = new Channel(stream.descriptor, place, deadlineMs)
      addLoaded(
        sum,
        gives ? give(relay, channel, stream, cache) : take(relay, channel, stream, cache),
      )
    }
  } catch (error) {
    isCopied = false
    say(`${name}: ${gives ? 'writing' : 'reading'} the content: ${reasonOf(error)}`, 'error')
  }
  assembly.note(worker, sum)
  return assembly.settle(isCopied, deadlineMs, sharedMs)
}

function give({ hasSums }: Relay, channel: Channel, { arenas }: Stream, { shards }: Cache): Loaded {
  const sum = nothingLoaded()
  for (const index of arenas) {
    sum.bytes += writeArena(shards[index].arena, channel, hasSums)
  }
  if (!channel.isPipe) return sum
  const answer = Buffer.alloc(1)
  const length = channel.read(answer, 0, 1)
  if (length === 0 || answer[0] !== TAKEN) throw new Error('the new process did not take it')
  return sum
}

function take(relay: Relay, channel: Channel, { arenas }: Stream, cache: Cache): Loaded {
  const { header, keepsCounters } = relay
  const sum = nothingLoaded()
  if (header === null) return sum
  for (const index of arenas) {
    addLoaded(sum, loadArena(cache, header, index, channel, keepsCounters))
  }
  if (!channel.isPipe) return sum
  if (sum.lostArenas + sum.lostPages > 0) throw new Error('it did not arrive whole')
  channel.write(Buffer.from([TAKEN]), 0, 1)
  return sum
}

/** The places of streams that are pipes. */
export function pipes(count: number): Float64Array<SharedArrayBuffer> {
  return places(Array.from({ length: count }, () => PIPE))
}

/** Room for the places of streams. */
export function places(list: readonly number[]): Float64Array<SharedArrayBuffer> {
  const shared = new Float64Array(new SharedArrayBuffer(list.length * 8))
  shared.set(list)
  return shared
}
