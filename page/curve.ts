// The estimated hit ratio by memory, with the memory of now marked.

import type { CurveFacts } from '../lib/admin/shapes.ts'
import { make, setText } from './dom.ts'
import { bytes, percent } from './figures.ts'

const WIDTH = 640
const HEIGHT = 200
const LEFT = 46
const BOTTOM = 24
const TOP = 10
const RIGHT = 16
const SVG = 'http://www.w3.org/2000/svg'

export class CurveChart {
  private readonly svg = document.createElementNS(SVG, 'svg')
  private readonly facts = make('p', 'note')

  constructor(place: HTMLElement) {
    this.svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`)
    this.svg.setAttribute('class', 'curve')
    this.svg.setAttribute('role', 'img')
    this.svg.setAttribute('aria-label', 'Estimated hit ratio by memory')
    place.append(this.svg, this.facts)
  }

  show({ nowBytes, points }: CurveFacts): void {
    const sizes = [...points.map(point => point.bytes), nowBytes]
    const [least, most] = [Math.log2(Math.min(...sizes)), Math.log2(Math.max(...sizes))]
    const xOf = (size: number) =>
      LEFT + ((Math.log2(size) - least) / Math.max(1, most - least)) * (WIDTH - LEFT - RIGHT)
    const yOf = (ratio: number) => TOP + (1 - ratio) * (HEIGHT - TOP - BOTTOM)
    this.svg.replaceChildren()
    for (const ratio of [0, 0.25, 0.5, 0.75, 1]) {
      this.line('grid', LEFT, yOf(ratio), WIDTH - RIGHT, yOf(ratio))
      this.text(percent(ratio, 0), LEFT - 8, yOf(ratio) + 4, 'end')
    }
    for (const point of points)
      this.text(bytes(point.bytes), xOf(point.bytes), HEIGHT - 6, 'middle')
    this.line('now', xOf(nowBytes), TOP, xOf(nowBytes), HEIGHT - BOTTOM)
    this.text('now', xOf(nowBytes) + 5, TOP + 10, 'start')
    const path = points.map(({ bytes, hitRatio }) => `${xOf(bytes)},${yOf(hitRatio)}`).join(' ')
    this.add('polyline', { class: 'curve-line', points: path })
    for (const { bytes, hitRatio } of points) {
      this.add('circle', { class: 'curve-dot', cx: xOf(bytes), cy: yOf(hitRatio), r: 3.5 })
    }
    const told = points.map(point => `${bytes(point.bytes)}: ${percent(point.hitRatio)}`)
    setText(this.facts, `Estimated hit ratio with ${told.join(', ')}.`)
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
