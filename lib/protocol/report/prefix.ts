// `stats prefix`: estimates of items, bytes and hits by key prefix, from the sampled keys.

import type { Host } from '../host.ts'
import { encodeKey } from './hot-keys.ts'
import type { Lines } from './rows.ts'

/** In place of the empty prefix. */
const OTHERS = '*'

/** No rows before the first evaluation. */
export function reportPrefixes({ insight }: Host, lines: Lines): void {
  const known = insight.read()
  if (known === null) return
  lines.add('sample_percent', (known.curve.sampledShare * 100).toFixed(3))
  for (const [index, facts] of known.prefixes.entries()) {
    const add = (name: string, value: string | number) => lines.add(`${index + 1}:${name}`, value)
    add('prefix', facts.prefix === '' ? OTHERS : encodeKey(facts.prefix))
    add('items', facts.items)
    add('bytes', facts.bytes)
    add('lookups', facts.lookups)
    if (facts.hitRatio !== null) add('hit_percent', (facts.hitRatio * 100).toFixed(2))
  }
}
