// The picture of `memslab top`: measures and what the operator chose -> lines of a terminal. Knows
// no terminal.

import { printable } from '../../bytes/printable.ts'
import { KIB } from '../../bytes/units.ts'
import { type Measures, totalOf } from './measures.ts'

/** What the operator chose by key presses. */
export interface Choices {
  /** Index into COLUMNS. */
  sort: number
  reversed: boolean
  /** Shows servers whose name contains this. */
  filter: string
  /** The server whose keys and classes are shown, by its place in the list. */
  selected: number
}

interface Column {
  head: string
  width: number
  /** Sorts servers, most first; null: by name. */
  value: ((measures: Measures) => number | null) | null
  text(measures: Measures): string
}

const percent = (part: number | null, whole: number | null) =>
  part === null || whole === null || whole === 0 ? null : (100 * part) / whole
const memoryPercent = ({ bytes, limitBytes }: Measures) => percent(bytes, limitBytes)

function column(
  head: string,
  width: number,
  value: (measures: Measures) => number | null,
  print: (value: number) => string = short,
): Column {
  const text = (measures: Measures) => {
    const found = value(measures)
    return found === null ? '-' : print(found)
  }
  return { head, width, value, text }
}

const tenths = (value: number) => value.toFixed(1)

const SERVER_WIDTH = 24
export const COLUMNS: readonly Column[] = [
  { head: 'SERVER', width: SERVER_WIDTH, value: null, text: ({ server }) => server },
  column('GET/S', 8, ({ gets }) => gets),
  column('SET/S', 8, ({ sets }) => sets),
  column('OTHER/S', 8, ({ others }) => others),
  column('HIT%', 6, ({ hitPercent }) => hitPercent, tenths),
  column('EVICT/S', 8, ({ evictions }) => evictions),
  column('ITEMS', 8, ({ items }) => items),
  column('MEM%', 6, memoryPercent, tenths),
  column('MEMORY', 8, ({ bytes }) => bytes, shortBytes),
  column('CONN', 6, ({ connections }) => connections),
  column('IN/S', 8, ({ readBytes }) => readBytes, shortBytes),
  column('OUT/S', 8, ({ writtenBytes }) => writtenBytes, shortBytes),
  column('UP', 6, ({ uptimeS }) => uptimeS, duration),
]

/** The servers in the order and with the filter that were chosen. */
export function arranged(all: readonly Measures[], choices: Choices): Measures[] {
  const { sort, reversed, filter } = choices
  const value = COLUMNS[sort]?.value ?? null
  const shown = all.filter(({ server }) => server.includes(filter))
  const order =
    value === null
      ? (a: Measures, b: Measures) => a.server.localeCompare(b.server, 'en', { numeric: true })
      : (a: Measures, b: Measures) => (value(b) ?? -1) - (value(a) ?? -1)
  const sorted = shown.toSorted(order)
  return reversed ? sorted.reverse() : sorted
}

/** The lines of the whole picture, at most `height` of at most `width` characters. */
export function picture(
  all: readonly Measures[],
  choices: Choices,
  width: number,
  height: number,
): string[] {
  const columns = fitting(width)
  const servers = arranged(all, choices)
  const selected = servers[Math.min(choices.selected, servers.length - 1)]
  const rows = servers.map(measures => rowOf(columns, measures, width, measures === selected))
  const total = all.length > 1 ? [rowOf(columns, totalOf(all), width, false)] : []
  const detail = selected === undefined ? [] : detailOf(selected)
  const head = headOf(columns, choices)
  // The servers have priority over the details of one.
  const room = Math.max(0, height - 1 - total.length)
  const lines = [head, ...rows.slice(0, room), ...total, ...detail]
  return lines.slice(0, height).map(line => line.slice(0, width))
}

/** As many columns as the width has room for. */
function fitting(width: number): Column[] {
  let used = 0
  return COLUMNS.filter(({ width: own }) => {
    used += own + 1
    return used <= width + 1
  })
}

function headOf(columns: readonly Column[], { sort, reversed }: Choices): string {
  return columns
    .map(({ head, width }) => {
      const isSorted = COLUMNS[sort]?.head === head
      return pad(isSorted ? `${reversed ? '^' : 'v'}${head}` : head, width, head === 'SERVER')
    })
    .join(' ')
}

function rowOf(
  columns: readonly Column[],
  measures: Measures,
  width: number,
  isSelected: boolean,
): string {
  const mark = isSelected ? '>' : ' '
  const { fault, server } = measures
  if (fault !== null) {
    const name = pad(mark + printable(server), SERVER_WIDTH, true)
    return `${name} ${printable(fault)}`.slice(0, width)
  }
  const cells = columns.map(({ head, width: own, text }) =>
    head === 'SERVER'
      ? pad(mark + printable(text(measures)), own, true)
      : pad(text(measures), own, false),
  )
  return cells.join(' ')
}

function detailOf({ server, version, fault, hotKeys, classes }: Measures): string[] {
  if (fault !== null) return []
  const title = `${printable(server)}: ${version}`
  const keys = hotKeys.map(
    ({ key, percent }) => `  ${percent.toFixed(1).padStart(5)} %  ${printable(key)}`,
  )
  const slabs = classes.map(({ id, chunkBytes, items, pages, ageS, evicted }) => {
    const cells = [id, chunkBytes, items, pages, duration(ageS), evicted].map(cell =>
      typeof cell === 'number' ? short(cell) : cell,
    )
    return ` ${cells.map(cell => cell.padStart(8)).join(' ')}`
  })
  const slabHead = ['CLASS', 'CHUNK', 'ITEMS', 'PAGES', 'AGE', 'EVICTED']
  return [
    '',
    title,
    ...(keys.length > 0 ? ['hottest keys, share of requests', ...keys] : []),
    ...(slabs.length > 0 ? [` ${slabHead.map(word => word.padStart(8)).join(' ')}`, ...slabs] : []),
  ]
}

function pad(text: string, width: number, isLeft: boolean): string {
  const cut = text.slice(0, width)
  return isLeft ? cut.padEnd(width) : cut.padStart(width)
}

/** 1234567 -> 1.2M, in at most six characters. */
export function short(value: number): string {
  return scaled(value, 1000, ['', 'k', 'M', 'G', 'T'])
}

export function shortBytes(value: number): string {
  return scaled(value, KIB, ['', 'K', 'M', 'G', 'T'])
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let [left, at] = [value, 0]
  while (left >= 999.5 && at < units.length - 1) {
    left /= step
    at++
  }
  const digits = at > 0 && left < 9.95 ? left.toFixed(1) : String(Math.round(left))
  return digits + units[at]
}

/** Seconds -> 59s, 59m, 23h, 99d. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}
