// `stats mrc`: what share of lookups would hit with less and with more memory.

import type { Host } from '../host.ts'
import type { Lines } from './rows.ts'

/** No rows before the first evaluation. */
export function reportCurve({ insight }: Host, lines: Lines): void {
  const curve = insight.read()?.curve
  if (curve === undefined) return
  lines.add('sample_percent', (curve.sampledShare * 100).toFixed(3))
  lines.add('sampled_keys', curve.sampledKeys)
  lines.add('samples_lost', curve.lost)
  lines.add('lookups', curve.lookups)
  for (const { memory, memoryBytes, missRatio, filled } of curve.points) {
    lines.add(`${memory}:limit_maxbytes`, memoryBytes)
    lines.add(`${memory}:filled_percent`, Math.round(filled * 100))
    if (missRatio === null) continue
    lines.add(`${memory}:hit_percent`, ((1 - missRatio) * 100).toFixed(2))
  }
}
