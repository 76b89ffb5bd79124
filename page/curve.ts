// The estimated hit ratio by memory, with the memory of now marked.

import type { CurveFacts, CurvePoint } from '../lib/admin/shapes.ts'
import { make, setText } from './dom.ts'
import { brief, bytes, exact, percent } from './figures.ts'

const WIDTH_PX_MAX = 900
const HEIGHT = 210
const LEFT = 44
const BOTTOM = 24
const TOP = 12
/** Between the ends of the lines and the outermost points, for their labels. */
const MARGIN = 30
/** A cache that is this full has begun to evict: the rest are ends of pages. */
const FULL = 0.95
const SVG = 'http://www.w3.org/2000/svg'

export class CurveChart {
  private readonly svg = document.createElementNS(SVG, 'svg')
  private readonly facts = make('p', 'note')
  private curve: CurveFacts | null = null

  constructor(place: HTMLElement) {
    this.svg.setAttribute('class', 'curve')
    this.svg.setAttribute('role', 'img')
    this.svg.setAttribute('aria-label', 'Estimated hit ratio by memory')
    place.append(this.svg, this.facts)
    new ResizeObserver(() => this.draw()).observe(place)
  }

  show(curve: CurveFacts): void {
    this.curve = curve
    this.draw()
    setText(this.facts, factsOf(curve.points.filter(isKnown), curve.sampledKeys))
  }

  private draw(): void {
    const width = Math.min(WIDTH_PX_MAX, this.svg.parentElement?.clientWidth ?? 0)
    if (this.curve === null || width === 0) return
    const { nowBytes, points } = this.curve
    this.svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`)
    const known = points.filter(isKnown)
    const sizes = [...points.map(point => point.bytes), nowBytes]
    const [least, most] = [Math.log2(Math.min(...sizes)), Math.log2(Math.max(...sizes))]
    const xOf = (size: number) =>
      LEFT +
      MARGIN +
      ((Math.log2(size) - least) / (most - least || 1)) * (width - LEFT - 2 * MARGIN)
    const yOf = (ratio: number) => TOP + (1 - ratio) * (HEIGHT - TOP - BOTTOM)
    this.svg.replaceChildren()
    for (const ratio of [0, 0.25, 0.5, 0.75, 1]) {
      this.line('grid', LEFT, yOf(ratio), width, yOf(ratio))
      this.text(percent(ratio, 0), LEFT - 8, yOf(ratio) + 4, 'end')
    }
    for (const point of points) {
      this.text(brief(bytes(point.bytes)), xOf(point.bytes), HEIGHT - 6, 'middle')
    }
    this.line('now', xOf(nowBytes), TOP, xOf(nowBytes), HEIGHT - BOTTOM)
    this.text('now', xOf(nowBytes) + 6, HEIGHT - BOTTOM - 8, 'start')
    const path = known.map(({ bytes, hitRatio }) => `${xOf(bytes)},${yOf(hitRatio)}`).join(' ')
    this.add('polyline', { class: 'curve-line', points: path })
    for (const point of known) {
      const [cx, cy] = [xOf(point.bytes), yOf(point.hitRatio)]
      const state = point.filled < FULL ? 'curve-dot filling' : 'curve-dot'
      this.add('circle', { class: state, cx, cy, r: 4 })
      const isNow = point.bytes === nowBytes
      // Beside the line of now, not on it.
      const [x, anchor] = isNow ? [cx + 7, 'start'] : [cx, 'middle']
      this.text(percent(point.hitRatio), x, cy < TOP + 30 ? cy + 20 : cy - 10, anchor)
    }
  }

  private line(className: string, x1: number, y1: number, x2: number, y2: number): void {
    this.add('line', { class: `curve-${className}`, x1, y1, x2, y2 })
  }

  private text(text: string, x: number, y: number, anchor: string): void {
    this.add('text', { x, y, 'text-anchor': anchor }).textContent = text
  }

  private add(tag: string, attributes: Record<string, string | number>): SVGElement {
    const made = document.createElementNS(SVG, tag) as SVGElement
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
    this.svg.append(made)
    return made
  }
}

type KnownPoint = CurvePoint & { hitRatio: number }

function isKnown(point: CurvePoint): point is KnownPoint {
  return point.hitRatio !== null
}

function factsOf(known: readonly KnownPoint[], sampledKeys: number): string {
  if (known.length === 0) return 'Nothing was asked for yet.'
  const told = known.map(point => `${percent(point.hitRatio)} with ${brief(bytes(point.bytes))}`)
  const filling = known.some(({ filled }) => filled < FULL)
    ? ' Hollow: a cache of this size would not be full yet, and would do better later.'
    : ''
  return `Estimated from ${exact(sampledKeys)} keys: ${told.join(', ')}.${filling}`
}
