// Keys of strategies: any text, though a cache allows 250 bytes without spaces.

import { createHash } from 'node:crypto'
import { KEY_BYTES_MAX } from '../bytes/memcached.ts'

/** The key itself if every cache allows it, else a digest. */
export function fitKey(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  const isPlain = key !== '' && key.isWellFormed() && !/[\x00-\x20\x7f]/.test(key)
  if (isPlain && Buffer.byteLength(key) <= KEY_BYTES_MAX) return key
  return `sha256-${createHash('sha256').update(key).digest('base64url')}`
}
