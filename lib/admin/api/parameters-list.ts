// The settings of the daemon: those of its start, and what was changed since.

import { CHANGEABLE } from '../../protocol/control/change-board.ts'
import type { Host } from '../../protocol/host.ts'
import { settingOf } from '../../protocol/report/settings.ts'
import type { SettingRow } from '../shapes.ts'

/** In the order of `stats settings`. */
export function listSettings(host: Host): SettingRow[] {
  const changes = new Map([...host.changes.all()].map(({ name, who, atS }) => [name, { who, atS }]))
  const changeable = new Set<string>(CHANGEABLE)
  return host.facts.settings.map(([name]) => ({
    name,
    value: String(settingOf(host, name) ?? ''),
    isChangeable: changeable.has(name),
    changed: changes.get(name) ?? null,
  }))
}
