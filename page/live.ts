// The event stream of the daemon, opened again whenever it ends.

import type { Detail, Hello, PageMap, Sample } from '../lib/admin/shapes.ts'

/** How long to wait after a refusal; a broken connection is the browser's own matter. */
const RETRY_MS = 3000

export type State = 'waiting' | 'live' | 'lost'

export interface Receiver {
  hello(hello: Hello): void
  sample(sample: Sample): void
  map(map: PageMap): void
  detail(detail: Detail): void
  state(state: State): void
}

export function listen(receiver: Receiver): void {
  const events = new EventSource('events')
  const on = <T>(name: string, take: (value: T) => void) => {
    events.addEventListener(name, event => take(JSON.parse((event as MessageEvent<string>).data)))
  }
  on<Hello>('hello', hello => receiver.hello(hello))
  on<PageMap>('map', map => receiver.map(map))
  on<Detail>('detail', detail => receiver.detail(detail))
  on<Sample>('sample', sample => {
    receiver.state('live')
    receiver.sample(sample)
  })
  events.addEventListener('error', () => {
    receiver.state('lost')
    if (events.readyState !== EventSource.CLOSED) return
    events.close()
    setTimeout(() => listen(receiver), RETRY_MS)
  })
}

/** What `ask` was rejected with, in words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The JSON of a path. Rejects with the reason that the daemon gives. */
export async function ask<T>(path: string, method = 'GET'): Promise<T> {
  const response = await fetch(path, { method, headers: { 'X-Memslab': '1' } })
  if (!response.ok) throw new Error((await response.text()).trim())
  return (await response.json()) as T
}
