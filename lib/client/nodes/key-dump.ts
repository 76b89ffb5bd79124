// The keys that a server has, from the dump of its crawler: text of any length, over a connection
// of its own.

import { setTimeout as sleep } from 'node:timers/promises'
import { CacheError } from '../../doors/errors.ts'
import { addressText, type ConnectionOptions, type ServerAddress } from './connection.ts'
import { talk } from './talk.ts'

/** Retries while the crawler is busy, and how long a list of keys may make no progress. */
const LIST_BUSY_MS = 1000
const LIST_BUSY_TRIES_MAX = 60
const LIST_SILENCE_MS = 60_000

/** A key of a server. */
export interface Listed {
  key: string
  /** When it was used, Unix time, seconds; 0: unknown. */
  usedAtS: number
}

/** The keys of a server as text. A key that is stored meanwhile may come more than once. */
export async function* keysOf(
  server: ServerAddress,
  options: ConnectionOptions = {},
): AsyncGenerator<string, void> {
  for await (const { key } of listedBy(server, options)) yield key
}

/** The same, with when each was used. */
export async function* listedBy(
  server: ServerAddress,
  options: ConnectionOptions = {},
): AsyncGenerator<Listed, void> {
  const name = addressText(server)
  for (let tries = 0; tries < LIST_BUSY_TRIES_MAX; tries++) {
    let isBusy = false
    const talking = { ...options, silenceMs: LIST_SILENCE_MS }
    for await (const line of talk(server, 'lru_crawler metadump all\r\n', talking)) {
      const [, key, usedAt = 0] = /^key=(\S+) (?:.* la=(\d+) )?/.exec(line) ?? []
      isBusy = line.startsWith('BUSY')
      if (line === 'END' || line === 'EN') return
      if (isBusy) break
      // The first line of a dump since memcached 1.6.22.
      if (line === 'OK') continue
      if (key === undefined) throw new CacheError('SERVER', line, { server: name })
      yield { key: decodeKey(key), usedAtS: Number(usedAt) }
    }
    // Another crawl is under way.
    if (isBusy) await sleep(LIST_BUSY_MS)
  }
  throw new CacheError('SERVER', 'its crawler stays busy', { server: name })
}

/** Percent-encoded bytes. Those that are not UTF-8 cannot be a key here. */
function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
