// The switches about what outlives the process: snapshots, and restores from them.

import type { Keep } from './options.ts'
import { DEFAULTS } from './options.ts'
import type { Switch } from './switch.ts'
import { type Given, Refused, wholeOf } from './values.ts'

const UNIT_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
const MINUTES_A_DAY = 24 * 60

export const KEEPING: readonly Switch[] = [
  {
    letter: '',
    name: 'snapshot-dir',
    value: '<dir>',
    help: ['where snapshots are written; they have to be asked for:'],
    read: text => ({ snapshotDir: pathOf(text, '--snapshot-dir') }),
  },
  {
    letter: '',
    name: 'snapshot-every',
    value: '<time>',
    help: ['write one each <time>: 90s, 15m, 1h or 1d'],
    read: readEvery,
  },
  {
    letter: '',
    name: 'snapshot-at',
    value: '<times>',
    help: ['write one at these local times: 03:00, or 03:00,15:00'],
    adds: true,
    read: readAt,
  },
  {
    letter: '',
    name: 'snapshot-on-exit',
    help: ['write one when the daemon ends'],
    read: () => ({ snapshotOnExit: true }),
  },
  {
    letter: '',
    name: 'snapshot-keep',
    value: '<num>',
    help: ['keep the newest <num> (default: 7), or those of some days, as 35d'],
    read: readKeep,
  },
  {
    letter: '',
    name: 'snapshot-key',
    value: '<file>',
    help: ['encrypt snapshots with the key in <file>, and restore with it'],
    read: text => ({ snapshotKeyFile: pathOf(text, '--snapshot-key') }),
  },
  {
    letter: '',
    name: 'snapshot-cas',
    help: ['snapshots have the CAS numbers of their items too'],
    read: () => ({ snapshotCas: true }),
  },
  {
    letter: '',
    name: 'snapshot-level',
    value: '<num>',
    help: [`compress them at this level of zstd (default: ${DEFAULTS.snapshotLevel}; 0: not)`],
    read: text => ({ snapshotLevel: wholeOf(text, '--snapshot-level') }),
  },
  {
    letter: '',
    name: 'restore',
    value: '<path>',
    help: ['start with the items of this snapshot, or of the newest sound one in a', 'directory'],
    read: text => ({ restorePath: pathOf(text, '--restore') }),
  },
  {
    letter: '',
    name: 'restore-required',
    help: ['do not start without a sound one; otherwise the start is an empty one'],
    read: () => ({ restoreRequired: true }),
  },
  {
    letter: '',
    name: 'restore-serving',
    help: ['serve meanwhile; what clients store, delete or flush wins'],
    read: () => ({ restoreServing: true }),
  },
]

function pathOf(text: string, name: string): string {
  if (text === '') throw new Refused(`${name} names no path`)
  return text
}

function readEvery(text: string): Given {
  const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) {
    throw new Refused(`Illegal value "${text}" for --snapshot-every: as 90s, 15m, 1h or 1d`)
  }
  return { snapshotEveryS: Number(digits) * UNIT_S[unit] }
}

/** Minutes of the day, in order. */
function readAt(text: string): Given {
  const minutes = text.split(',').map(time => {
    const [, hours, rest] = /^(\d{1,2}):(\d\d)$/.exec(time.trim()) ?? []
    const minute = Number(hours) * 60 + Number(rest)
    if (Number(rest) < 60 && minute < MINUTES_A_DAY) return minute
    throw new Refused(`Illegal value "${time}" for --snapshot-at: a time as 03:00`)
  })
  return { snapshotAt: [...new Set(minutes)].sort((a, b) => a - b) }
}

function readKeep(text: string): Given {
  const [, digits, unit] = /^(\d{1,6})(d?)$/.exec(text) ?? []
  if (digits === undefined) {
    throw new Refused(`Illegal value "${text}" for --snapshot-keep: a number, or days as 35d`)
  }
  const keep: Keep = unit === 'd' ? { days: Number(digits) } : { count: Number(digits) }
  return { snapshotKeep: keep }
}
