// The picture of all pages: a square a page (or for some of its neighbours, where there are too
// many), in the colour of its class, arena below arena.

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
  private arenas: Uint8Array[] = []
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
    this.arenas = map.arenas.map(text => Uint8Array.from(atob(text), char => char.charCodeAt(0)))
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
    const { unused, pool, moving } = map.codes
    const cells = this.arenas.flatMap(arena => [...arena])
    const have = (code: number) => cells.filter(cell => cell === code).length
    const free = have(unused) + have(pool)
    const one = map.pagesPerCell === 1 ? 'page' : `group of ${map.pagesPerCell} pages`
    const moved = have(moving) === 0 ? '' : `, ${have(moving)} moving`
    const size = `A square is a ${one} of ${brief(bytes(map.pageBytes))}.`
    const used = percent(1 - free / Math.max(1, cells.length), 0)
    return `${size} ${exact(cells.length)} squares in ${this.arenas.length} arenas: ${used} in use, ${exact(free)} free${moved}.`
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
    for (const [i, cells] of this.arenas.entries()) {
      const top = layout.tops[i] ?? 0
      for (const [at, code] of cells.entries()) {
        const x = (at % layout.columns) * layout.squarePx
        paint(code, x, top + Math.floor(at / layout.columns) * layout.squarePx)
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
    return (code: number, x: number, y: number) => {
      context.globalAlpha = this.pointed === null || this.pointed === code ? 1 : PALE
      if (code === codes.unused || code === codes.pool) {
        context.strokeStyle = code === codes.pool ? poolInk : unusedInk
        context.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1)
        return
      }
      context.fillStyle = fixed.get(code) ?? this.colorOf(code)
      context.fillRect(x, y, size, size)
    }
  }

  private point({ offsetX, offsetY }: PointerEvent): void {
    const { squarePx, columns, tops } = this.layout
    const arena = tops.findLastIndex(top => top <= offsetY)
    const row = Math.floor((offsetY - (tops[arena] ?? 0)) / squarePx)
    const at = row * columns + Math.floor(offsetX / squarePx)
    const code = offsetX < columns * squarePx ? this.arenas[arena]?.[at] : undefined
    this.tip.hidden = code === undefined
    if (code === undefined) return
    setText(
      this.tip,
      `Arena ${arena}, page ${at * (this.map?.pagesPerCell ?? 1)}: ${this.nameOf(code)}`,
    )
    const left = Math.min(offsetX + 12, this.canvas.clientWidth - this.tip.offsetWidth)
    this.tip.style.left = `${Math.max(0, left)}px`
    this.tip.style.top = `${offsetY + 14}px`
  }

  private nameOf(code: number): string {
    const { codes } = this.map ?? {}
    if (code === codes?.unused) return 'free, never used'
    if (code === codes?.pool) return 'free'
    if (code === codes?.moving) return 'moving to another class'
    if (code === codes?.kept) return 'kept until a value is sent'
    const row = this.classes.find(({ id }) => id === code)
    if (row === undefined) return `class ${code}`
    const used = percent(row.usedChunks / Math.max(1, row.chunks), 0)
    return `class ${code}, chunks of ${bytes(row.chunkBytes)}, ${used} of them in use`
  }
}

/** The largest squares with which the picture is not too high. */
function layOut(arenas: readonly Uint8Array[], widthPx: number): Layout {
  for (let squarePx = SQUARE_PX_MAX; ; squarePx--) {
    const columns = Math.max(1, Math.floor(widthPx / squarePx))
    const tops: number[] = []
    let heightPx = 0
    for (const cells of arenas) {
      tops.push(heightPx)
      heightPx += Math.ceil(cells.length / columns) * squarePx + ARENA_GAP_PX
    }
    heightPx = Math.max(0, heightPx - ARENA_GAP_PX)
    if (heightPx <= HEIGHT_PX || squarePx === SQUARE_PX_MIN) {
      return { squarePx, columns, tops, heightPx }
    }
  }
}
