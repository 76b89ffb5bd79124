// One item: looked up without a trace in counters and lists, or deleted.

import { Area } from '../../bytes/area.ts'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import type { Cache } from '../../engine/cache.ts'
import { Status } from '../../engine/status.ts'
import { Ask } from '../../engine/storing/ask.ts'
import { encodeKey } from '../../protocol/report/hot-keys.ts'
import { ItemSink } from '../../protocol/report/one-item.ts'
import { VALUE_SHOWN_BYTES_MAX } from '../limits.ts'
import type { ItemFacts } from '../shapes.ts'
import { decodeBytes } from './key-text.ts'

/** The key in a query; null if there is none that an item could have. */
export function keyIn(query: ReadonlyMap<string, string>): Buffer | null {
  const key = decodeBytes(query.get('key') ?? '')
  return key === null || key.length === 0 || key.length > KEY_BYTES_MAX ? null : key
}

/** `withValue`: the start of its value too. */
export function lookUp(cache: Cache, key: Buffer, withValue: boolean): ItemFacts {
  const area = new Area(key)
  const hash = cache.hash(area, 0, key.length)
  const shard = cache.shardOf(hash)
  const sink = new ItemSink(withValue ? VALUE_SHOWN_BYTES_MAX : 0)
  shard.inspect(hash, area, 0, key.length, sink)
  const name = encodeKey(key.toString('latin1'))
  if (sink.report === null) return { key: name, found: 'not_found' }
  const { state, cas, ttlS, wasFetched, isStale, isClaimed, value, ...facts } = sink.report
  const item = {
    ...facts,
    cas: String(cas),
    arena: cache.shards.indexOf(shard),
    ttlS: ttlS === -1 ? null : ttlS,
    fetched: wasFetched,
    stale: isStale,
    claimed: isClaimed,
  }
  const shown = withValue ? { value: value.toString('base64') } : {}
  return { key: name, found: state, item: { ...item, ...shown } }
}

/** Whether there was an item. */
export function remove(cache: Cache, key: Buffer): boolean {
  const ask = new Ask(new Area(key))
  const hash = cache.hash(ask.area, 0, key.length)
  ask.setKey(ask.area, 0, key.length, hash)
  // A restore that is under way must not bring it back.
  cache.changed?.mark(hash)
  return cache.shardOf(hash).remove(ask) === Status.OK
}
