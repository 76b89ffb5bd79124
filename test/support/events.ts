/** Reads an event stream of the admin listener. */
import { get } from 'node:http'
import type { Owner } from './process.ts'
import { HOST } from './process.ts'
import { ANSWER_MS_MAX } from './server-peer.ts'

export interface Stream {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** Resolves with the next event of this name for which `is` is true. */
  next<T>(name: string, is?: (value: T) => boolean): Promise<T>
  close(): void
}

export function openStream(
  owner: Owner,
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<Stream> {
  const { promise, resolve, reject } = Promise.withResolvers<Stream>()
  const request = get({ host: HOST, port, path, headers, agent: false }, response => {
    const events: { name: string; value: unknown }[] = []
    let rest = ''
    let wake = () => {}
    response.setEncoding('utf8').on('error', () => {})
    response.on('data', (text: string) => {
      const pieces = (rest + text).split('\n\n')
      rest = pieces.pop() ?? ''
      for (const piece of pieces) {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(piece) ?? []
        if (name !== undefined && data !== undefined) events.push({ name, value: JSON.parse(data) })
      }
      wake()
    })
    const take = async <T>(name: string, is: (value: T) => boolean = () => true): Promise<T> => {
      const late = AbortSignal.timeout(ANSWER_MS_MAX)
      for (;;) {
        const at = events.findIndex(event => event.name === name && is(event.value as T))
        const [event] = at < 0 ? [] : events.splice(at, 1)
        if (event !== undefined) return event.value as T
        await new Promise<void>((resolve, reject) => {
          wake = resolve
          late.onabort = () => reject(new Error(`no event ${name}`))
        })
      }
    }
    resolve({
      status: response.statusCode ?? 0,
      headers: response.headers,
      next: take,
      close: () => request.destroy(),
    })
  })
  request.on('error', reject)
  owner.teardown(() => request.destroy())
  return promise
}
