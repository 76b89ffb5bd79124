// The picture of all pages: a square a page, in the colour of its class, arena below arena. Where
// there are too many pages a square is a group of neighbours, in stripes of their colours.

import type { ClassFacts, PageMap } from '../lib/admin/shapes.ts'
import { byId, setText } from './dom.ts'
import { brief, bytes, exact, percent } from './figures.ts'
import { between, color, onThemeChange } from './theme.ts'

const SQUARE_PX_MAX = 15
const SQUARE_PX_MIN = 4
/** The picture is about this high if its squares can be small enough. */
const HEIGHT_PX = 220
const ARENA_GAP_PX = 7
const PALE = 0.22

interface Layout {
  /** With the gap to the next one. */
  squarePx: number
  columns: number
  /** Where each arena begins. */
  tops: number[]
  heightPx: number
}

export class PageMapView {
  private readonly canvas = byId<HTMLCanvasElement>('map')
  private readonly tip = byId('map-tip')
  private map: PageMap | null = null
  /** By arena, the parts of each square. */
  private arenas: Uint8Array[][] = []
  private classes: readonly ClassFacts[] = []
  /** By class: a colour from small chunks to large ones. */
  private colors = new Map<number, string>()
  private pointed: number | null = null
  private layout: Layout = { squarePx: 1, columns: 1, tops: [], heightPx: 0 }

  constructor() {
    new ResizeObserver(() => this.draw()).observe(byId('map-frame'))
    onThemeChange(() => this.recolor())
    this.canvas.addEventListener('pointermove', event => this.point(event))
    this.canvas.addEventListener('pointerleave', () => {
      this.tip.hidden = true
    })
  }

  showMap(map: PageMap): void {
    this.map = map
    this.arenas = map.arenas.map(text => squaresOf(text, map.partsPerCell))
    this.draw()
    setText(byId('map-facts'), this.facts())
  }

  showClasses(classes: readonly ClassFacts[]): void {
    const isNew = classes.some((row, i) => row.id !== this.classes[i]?.id)
    this.classes = classes
    if (isNew || classes.length !== this.colors.size) this.recolor()
  }

  /** Makes the pages of other classes pale; null: of none. */
  highlight(id: number | null): void {
    if (this.pointed === id) return
    this.pointed = id
    this.draw()
  }

  colorOf(id: number): string {
    return this.colors.get(id) ?? color('--ramp-middle')
  }

  private recolor(): void {
    const [low, middle, high] = ['--ramp-low', '--ramp-middle', '--ramp-high'].map(color)
    const bySize = [...this.classes].sort((a, b) => a.chunkBytes - b.chunkBytes)
    const last = Math.max(1, bySize.length - 1)
    this.colors = new Map(
      bySize.map(({ id }, i) => [id, between(i / last, low ?? '', middle ?? '', high ?? '')]),
    )
    this.draw()
  }

  private facts(): string {
    const { map } = this
    if (map === null) return ''
    const { pages, freePages, movingPages, pagesPerCell } = map
    const ofOne = brief(bytes(map.pageBytes))
    const square =
      pagesPerCell === 1
        ? `A square is a page of ${ofOne}.`
        : `A square is ${pagesPerCell} pages of ${ofOne}, in stripes of their colours.`
    const used = percent(1 - freePages / Math.max(1, pages), 0)
    const moved = movingPages === 0 ? '' : `, ${exact(movingPages)} moving`
    return `${square} ${exact(pages)} pages in ${this.arenas.length} arenas: ${used} in use, ${exact(freePages)} free${moved}.`
  }

  private draw(): void {
    const context = this.canvas.getContext('2d')
    const width = this.canvas.parentElement?.clientWidth ?? 0
    if (context === null || this.map === null || width === 0) return
    const layout = layOut(this.arenas, width)
    this.layout = layout
    const ratio = devicePixelRatio
    this.canvas.width = width * ratio
    this.canvas.height = layout.heightPx * ratio
    this.canvas.style.height = `${layout.heightPx}px`
    context.scale(ratio, ratio)
    const paint = this.painter(context, this.map)
    for (const [i, squares] of this.arenas.entries()) {
      const top = layout.tops[i] ?? 0
      for (const [at, parts] of squares.entries()) {
        const x = (at % layout.columns) * layout.squarePx
        paint(parts, x, top + Math.floor(at / layout.columns) * layout.squarePx)
      }
    }
    this.canvas.setAttribute('aria-label', 'The pages of all arenas by slab class')
  }

  /** How one square is painted. */
  private painter(context: CanvasRenderingContext2D, { codes }: PageMap) {
    const size = this.layout.squarePx - 1
    const fixed = new Map([
      [codes.moving, color('--moving')],
      [codes.kept, color('--kept')],
    ])
    const [poolInk, unusedInk] = [color('--pool'), color('--unused')]
    const isFree = (code: number) => code === codes.unused || code === codes.pool
    return (parts: Uint8Array, x: number, y: number) => {
      const isPointed = this.pointed === null || parts.includes(this.pointed)
      context.globalAlpha = isPointed ? 1 : PALE
      if (parts.every(isFree)) {
        context.strokeStyle = parts.includes(codes.pool) ? poolInk : unusedInk
        context.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1)
        return
      }
      const width = size / parts.length
      for (const [i, code] of parts.entries()) {
        if (isFree(code)) continue
        context.globalAlpha = this.pointed === null || this.pointed === code ? 1 : PALE
        context.fillStyle = fixed.get(code) ?? this.colorOf(code)
        context.fillRect(x + i * width, y, width, size)
      }
    }
  }

  private point({ offsetX, offsetY }: PointerEvent): void {
    const { squarePx, columns, tops } = this.layout
    const arena = tops.findLastIndex(top => top <= offsetY)
    const row = Math.floor((offsetY - (tops[arena] ?? 0)) / squarePx)
    const at = row * columns + Math.floor(offsetX / squarePx)
    const parts = offsetX < columns * squarePx ? this.arenas[arena]?.[at] : undefined
    this.tip.hidden = parts === undefined
    if (parts === undefined) return
    setText(this.tip, `Arena ${arena}, ${this.placeOf(at)}: ${this.mixOf(parts)}`)
    const left = Math.min(offsetX + 12, this.canvas.clientWidth - this.tip.offsetWidth)
    this.tip.style.left = `${Math.max(0, left)}px`
    this.tip.style.top = `${offsetY + 14}px`
  }

  private placeOf(square: number): string {
    const pages = this.map?.pagesPerCell ?? 1
    const first = square * pages
    return pages === 1 ? `page ${first}` : `pages from ${first} to ${first + pages - 1}`
  }

  private mixOf(parts: Uint8Array): string {
    const codes = [...new Set(parts)]
    if (codes.length === 1) return this.nameOf(codes[0] ?? 0) + this.useOf(codes[0] ?? 0)
    const shareOf = (code: number) => parts.filter(part => part === code).length / parts.length
    const shares = codes.map(code => `${percent(shareOf(code), 0)} ${this.nameOf(code)}`)
    return `about ${shares.join(', ')}`
  }

  private nameOf(code: number): string {
    const { codes } = this.map ?? {}
    if (code === codes?.unused) return 'free, never used'
    if (code === codes?.pool) return 'free'
    if (code === codes?.moving) return 'moving to another class'
    if (code === codes?.kept) return 'kept until a value is sent'
    const row = this.classes.find(({ id }) => id === code)
    return row === undefined
      ? `class ${code}`
      : `class ${code} (chunks of ${bytes(row.chunkBytes)})`
  }

  /** How much of its class is in use; nothing for other pages. */
  private useOf(code: number): string {
    const row = this.classes.find(({ id }) => id === code)
    if (row === undefined) return ''
    return `, ${percent(row.usedChunks / Math.max(1, row.chunks), 0)} of the class in use`
  }
}

function squaresOf(base64: string, parts: number): Uint8Array[] {
  const bytes = Uint8Array.from(atob(base64), char => char.charCodeAt(0))
  return Array.from({ length: bytes.length / parts }, (_, square) =>
    bytes.subarray(square * parts, (square + 1) * parts),
  )
}

/** The largest squares with which the picture is not too high. */
function layOut(arenas: readonly Uint8Array[][], widthPx: number): Layout {
  for (let squarePx = SQUARE_PX_MAX; ; squarePx--) {
    const columns = Math.max(1, Math.floor(widthPx / squarePx))
    const tops: number[] = []
    let heightPx = 0
    for (const squares of arenas) {
      tops.push(heightPx)
      heightPx += Math.ceil(squares.length / columns) * squarePx + ARENA_GAP_PX
    }
    heightPx = Math.max(0, heightPx - ARENA_GAP_PX)
    if (heightPx <= HEIGHT_PX || squarePx === SQUARE_PX_MIN) {
      return { squarePx, columns, tops, heightPx }
    }
  }
}
