// The event streams of the page: one sample a second, shared by all who listen, and none while
// nobody does. A listener that does not read is dropped: nothing is kept for it but what its
// connection has not sent yet, and that has a bound.

import type { ServerResponse } from 'node:http'
import { ADMIN_LISTENERS_MAX, DETAIL_EVERY, LISTENER_BYTES_MAX, SAMPLE_MS } from '../limits.ts'
import type { Sampler } from './sampler.ts'

const STREAM = { 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' }

/** An event as it is sent. */
export function eventText(name: string, value: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`
}

/** All streams that are open, of samples and of watched lines. */
export class Listeners {
  private readonly open = new Set<ServerResponse>()

  /** Begins a stream; false if there are too many. */
  add(response: ServerResponse): boolean {
    if (this.open.size >= ADMIN_LISTENERS_MAX) return false
    this.open.add(response)
    response.once('close', () => this.open.delete(response))
    response.writeHead(200, STREAM)
    return true
  }

  /** Sends to one listener, or drops it if it does not read. */
  send(response: ServerResponse, text: string): void {
    if (response.writableLength > LISTENER_BYTES_MAX) response.destroy()
    else response.write(text)
  }
}

export class Broadcast {
  private readonly sampler: Pick<Sampler, 'hello' | 'sample' | 'detail' | 'map'>
  private readonly listeners: Listeners
  private readonly onError: (error: unknown) => void
  private readonly own = new Set<ServerResponse>()
  /** The last event of each name, for those who come later. */
  private readonly last = new Map<string, string>()
  private timer: NodeJS.Timeout | undefined
  private turn = 0

  constructor(
    sampler: Pick<Sampler, 'hello' | 'sample' | 'detail' | 'map'>,
    listeners: Listeners,
    onError: (error: unknown) => void,
  ) {
    this.sampler = sampler
    this.listeners = listeners
    this.onError = onError
  }

  /** Sends samples from now on; false if there are too many listeners. */
  add(response: ServerResponse): boolean {
    if (!this.listeners.add(response)) return false
    if (this.own.size === 0) this.start()
    this.listeners.send(response, eventText('hello', this.sampler.hello()))
    for (const text of this.last.values()) this.listeners.send(response, text)
    this.own.add(response)
    response.once('close', () => {
      this.own.delete(response)
      if (this.own.size === 0) this.stop()
    })
    return true
  }

  /** One sample to all. */
  tick(): void {
    try {
      if (this.turn++ % DETAIL_EVERY === 0) this.tell('detail', this.sampler.detail())
      this.tell('map', this.sampler.map())
      this.tell('sample', this.sampler.sample())
    } catch (error) {
      this.onError(error)
    }
  }

  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private start(): void {
    this.last.clear()
    this.turn = 0
    this.tick()
    this.timer = setInterval(() => this.tick(), SAMPLE_MS)
  }

  /** Sends an event unless it says what the last one said. */
  private tell(name: string, value: object): void {
    const text = eventText(name, value)
    if (this.last.get(name) === text) return
    this.last.set(name, text)
    for (const response of this.own) this.listeners.send(response, text)
  }
}
