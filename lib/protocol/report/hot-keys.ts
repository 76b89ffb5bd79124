// `stats hotkeys`: the keys with most requests, and the keys with the longest values.

import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { SAMPLE_EVERY } from '../../observe/hot-keys.ts'
import type { Host } from '../host.ts'
import { encodeBytes } from '../words/ascii.ts'
import type { Lines } from './rows.ts'

export function reportHotKeys({ hotKeys, cache }: Host, lines: Lines): void {
  const { requests, hot, long } = hotKeys.report(cache)
  lines.add('sample_every', SAMPLE_EVERY)
  lines.add('requests', requests)
  for (const [index, { key, requests, share, valueBytes }] of hot.entries()) {
    const add = (name: string, value: string | number) =>
      lines.add(`hot:${index + 1}:${name}`, value)
    add('key', encodeKey(key))
    add('requests', requests)
    add('percent', (share * 100).toFixed(2))
    if (valueBytes !== undefined) add('value_bytes', valueBytes)
  }
  for (const [index, { key, valueBytes }] of long.entries()) {
    lines.add(`long:${index + 1}:key`, encodeKey(key))
    lines.add(`long:${index + 1}:value_bytes`, valueBytes)
  }
}

const encoded = Buffer.allocUnsafe(3 * KEY_BYTES_MAX)

/**
 * A key percent-encoded, as in a dump: spaces and bytes beyond ASCII do no harm.
 */
export function encodeKey(key: string): string {
  const bytes = Buffer.from(key, 'latin1')
  return encoded.toString('latin1', 0, encodeBytes(bytes, 0, bytes.length, encoded, 0))
}
