// Memory: what it is used for, the picture of the pages, and the slab classes.

import type { ArenaFacts, ClassFacts, MemoryFacts, PageMap, Sample } from '../lib/admin/shapes.ts'
import { byId, type Column, column, fillShare, make, RowTable, setText, swatch } from './dom.ts'
import { bytes, count, exact, micros, percent } from './figures.ts'
import type { History } from './history.ts'
import { PageMapView } from './page-map.ts'

/** Parts of the memory limit: names, colours of page.css, sizes. */
const PARTS: readonly (readonly [name: string, color: string, of: (m: MemoryFacts) => number])[] = [
  ['items', '--series-1', ({ itemBytes }) => itemBytes],
  ['free in pages of classes', '--series-3', ({ slabBytes, itemBytes }) => slabBytes - itemBytes],
  ['hash table', '--series-4', ({ tableBytes }) => tableBytes],
]
const FREE = 'free'

const KEYS: readonly (readonly [name: string, color: string, className: string])[] = [
  ['moving', '--moving', ''],
  ['kept until a value is sent', '--kept', ''],
  ['free', '--pool', 'outline'],
  ['never used', '--unused', 'outline'],
]

interface ArenaRow extends ArenaFacts {
  number: number
  waitRate: number | null
}

export class MemoryView {
  private readonly map = new PageMapView()
  private readonly classes: RowTable<ClassFacts>
  private readonly locks: RowTable<ArenaRow>
  private readonly bars: HTMLElement[] = []
  private readonly sizes: HTMLElement[] = []

  constructor() {
    const { map } = this
    this.classes = new RowTable(byId('classes'), classColumns(map), 'No class has a page yet.')
    this.locks = new RowTable(
      byId('arenas'),
      [
        column('Arena', ({ number }) => String(number)),
        column('Lock waits per second', ({ waitRate }) => count(waitRate)),
        column('Lock waits', ({ lockWaits }) => exact(lockWaits)),
        column('Longest step under the lock', ({ longestStepUs }) => micros(longestStepUs)),
      ],
      'No arena.',
    )
    this.classes.onPoint = row => map.highlight(row?.id ?? null)
    for (const [name, color] of PARTS) this.addPart(name, `var(${color})`)
    this.addPart(FREE, 'var(--unused)')
    this.makeKey()
  }

  showMap(map: PageMap): void {
    this.map.showMap(map)
  }

  show(history: History): void {
    const { last } = history
    if (last === null) return
    this.showSample(last)
    this.locks.show(
      last.arenas.map((arena, number) => {
        return { ...arena, number, waitRate: history.lockWaitRate(number) }
      }),
    )
  }

  private showSample({ memory, classes }: Sample): void {
    this.map.showClasses(classes)
    this.classes.show(classes)
    const sizes = PARTS.map(([, , of]) => Math.max(0, of(memory)))
    const used = sizes.reduce((a, b) => a + b, 0)
    const whole = Math.max(memory.limitBytes, used, 1)
    for (const [i, size] of [...sizes, whole - used].entries()) {
      const [bar, text] = [this.bars[i], this.sizes[i]]
      if (bar !== undefined) bar.style.width = `${(100 * size) / whole}%`
      if (text !== undefined) setText(text, bytes(size))
    }
  }

  private addPart(name: string, color: string): void {
    const bar = make('i')
    bar.style.setProperty('--swatch', color)
    byId('memory-bar').append(bar)
    this.bars.push(bar)
    const entry = make('li', 'key')
    const size = make('b')
    entry.append(swatch(color), `${name} `, size)
    byId('memory-legend').append(entry)
    this.sizes.push(size)
  }

  private makeKey(): void {
    const place = byId('map-key')
    const classes = make('span', 'key')
    classes.append('small chunks', make('i', 'ramp'), 'large chunks')
    place.append(classes)
    for (const [name, color, className] of KEYS) {
      const key = make('span', 'key')
      key.append(swatch(`var(${color})`, className), name)
      place.append(key)
    }
  }
}

function classColumns(map: PageMapView): Column<ClassFacts>[] {
  return [
    {
      title: 'Class',
      fill: (cell, { id }) => {
        const known = cell.querySelector<HTMLElement>('.swatch')
        const mark = known ?? swatch('')
        mark.style.setProperty('--swatch', map.colorOf(id))
        if (known === null) cell.append(mark, ' ', make('span'))
        setText(cell.lastElementChild as HTMLElement, String(id))
      },
    },
    column('Chunk', ({ chunkBytes }) => bytes(chunkBytes)),
    column('Pages', ({ pages }) => exact(pages)),
    column('Items', ({ items }) => exact(items)),
    {
      title: 'Chunks in use',
      fill: (cell, { usedChunks, chunks }) => {
        const share = usedChunks / Math.max(1, chunks)
        fillShare(cell, percent(share, 0), share)
      },
    },
    {
      title: 'Fill of a chunk',
      fill: (cell, { itemBytes, usedChunks, chunkBytes }) => {
        const share = Math.min(1, itemBytes / Math.max(1, usedChunks * chunkBytes))
        fillShare(cell, percent(share, 0), share)
      },
    },
    column('Refused', ({ outOfMemory }) => exact(outOfMemory)),
  ]
}
