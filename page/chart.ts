// A chart over time: lines, a legend with the values at the cursor or now, and the same by arrow
// keys for those who see no pointer. All charts share one cursor.

import uPlot from 'uplot'
import { make, setText, swatch } from './dom.ts'
import { brief } from './figures.ts'
import type { Point } from './history.ts'
import { color, onThemeChange } from './theme.ts'

const HEIGHT_PX = 150
const AXIS_PX = 56
const FILL_ALPHA = '1f'
/** Room for a label of the time axis, with and without seconds. */
const SECONDS_PX = 78
const MINUTES_PX = 52
/** The part of the time axis, at its beginning, without labels. */
const FREE_SHARE = 0.06
/** Longer charts have a label a minute at most. */
const SECONDS_RANGE_S_MAX = 240
/** While there are few points, the chart shows this time at least. */
const WINDOW_S_MIN = 60
/** Distances of grid lines for bytes: powers of two, so that labels are round. */
const BYTE_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power)

export interface Line {
  name: string
  /** A variable of page.css. */
  color: string
  of(point: Point): number | null
}

export interface ChartOptions {
  title: string
  lines: readonly Line[]
  format(value: number | null): string
  /** linear, bytes: from 0; share: from 0 to 1. */
  scale: 'linear' | 'bytes' | 'share' | 'log'
}

/** Says a text to those who hear the page. */
export type Say = (text: string) => void

export class Chart {
  private readonly options: ChartOptions
  private readonly box = make('div', 'chart-box')
  private readonly values: HTMLElement[] = []
  private readonly say: Say
  private plot: uPlot | null = null
  private points: readonly Point[] = []
  private windowS = 0

  constructor(place: HTMLElement, options: ChartOptions, say: Say) {
    this.options = options
    this.say = say
    const figure = make('figure', 'chart')
    figure.tabIndex = 0
    figure.setAttribute('aria-label', `${options.title}. Arrow keys read earlier values.`)
    figure.append(this.caption(), this.box)
    this.box.setAttribute('aria-hidden', 'true')
    place.append(figure)
    figure.addEventListener('keydown', event => this.onKey(event))
    new ResizeObserver(() => this.resize()).observe(this.box)
    onThemeChange(() => {
      this.plot?.destroy()
      this.plot = null
      this.draw()
    })
  }

  /** Shows the points of the last `windowS` seconds. */
  show(points: readonly Point[], windowS: number): void {
    this.points = points
    this.windowS = windowS
    this.draw()
  }

  private caption(): HTMLElement {
    const caption = make('figcaption')
    caption.append(make('span', 'title', this.options.title))
    const keys = make('span', 'keys')
    caption.append(keys)
    for (const { name, color } of this.options.lines) {
      const key = make('span', 'key')
      const value = make('b')
      key.append(swatch(`var(${color})`), `${name} `, value)
      this.values.push(value)
      keys.append(key)
    }
    return caption
  }

  private draw(): void {
    const now = this.points.at(-1)?.atS
    if (now === undefined || this.box.clientWidth === 0) return
    this.plot ??= new uPlot(this.plotOptions(), [[]], this.box)
    const { lines } = this.options
    const data = [this.points.map(({ atS }) => atS), ...lines.map(({ of }) => this.points.map(of))]
    this.plot.setData(data as uPlot.AlignedData, false)
    const first = Math.min(this.points[0]?.atS ?? now, now - WINDOW_S_MIN)
    this.plot.setScale('x', { min: Math.max(now - this.windowS, first), max: now })
    this.tell()
  }

  /** Writes the values at the cursor, or those of now. */
  private tell(): void {
    const point = this.points[this.plot?.cursor.idx ?? this.points.length - 1]
    for (const [i, { of }] of this.options.lines.entries()) {
      const value = this.values[i]
      if (value !== undefined) {
        setText(value, this.options.format(point === undefined ? null : of(point)))
      }
    }
  }

  private onKey(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
    const { plot } = this
    if (plot === null || (step === undefined && event.key !== 'Escape')) return
    event.preventDefault()
    if (step === undefined) return plot.setCursor({ left: -1, top: -1 })
    const last = this.points.length - 1
    const index = Math.min(last, Math.max(0, (plot.cursor.idx ?? last + 1) + step))
    const point = this.points[index]
    if (point === undefined) return
    plot.setCursor({ left: plot.valToPos(point.atS, 'x'), top: 1 })
    const { lines, format } = this.options
    const told = lines.map(({ name, of }) => `${name} ${format(of(point))}`)
    this.say(`${new Date(point.atS * 1000).toLocaleTimeString()}: ${told.join(', ')}`)
  }

  private resize(): void {
    const width = this.box.clientWidth
    if (this.plot === null) this.draw()
    else if (width > 0 && width !== this.plot.width) {
      this.plot.setSize({ width, height: HEIGHT_PX })
    }
  }

  private plotOptions(): uPlot.Options {
    const { lines, scale } = this.options
    const filled = scale === 'log' ? -1 : 0
    return {
      width: this.box.clientWidth,
      height: HEIGHT_PX,
      legend: { show: false },
      cursor: {
        sync: { key: 'memslab' },
        drag: { x: false, y: false },
        y: false,
        points: { size: 6 },
      },
      padding: [6, 10, 0, 0],
      scales: {
        x: { time: true },
        y: scale === 'log' ? { distr: 3, range: logRange } : { range: linearRange(scale) },
      },
      axes: this.axes(),
      series: [
        {},
        ...lines.map((line, i) => ({
          stroke: color(line.color),
          width: 1.6,
          points: { show: false },
          ...(i === filled ? { fill: color(line.color) + FILL_ALPHA } : {}),
        })),
      ],
      hooks: { setCursor: [() => this.tell()] },
    }
  }

  private axes(): uPlot.Axis[] {
    const { scale, format } = this.options
    const stroke = color('--soft')
    const grid = { stroke: color('--grid'), width: 1 }
    const ticks = { show: false }
    const time = { size: 22, gap: 4, space: timeSpace, values: times }
    const value: uPlot.Axis = {
      size: AXIS_PX,
      gap: 6,
      space: 34,
      values: (_, splits) => splits.map(split => (split === null ? '' : brief(format(split)))),
      ...(scale === 'log' ? { splits: powers } : {}),
      ...(scale === 'bytes' ? { incrs: BYTE_STEPS } : {}),
    }
    return [
      { stroke, ticks, grid: { show: false }, ...time },
      { stroke, ticks, grid, ...value },
    ]
  }
}

/** Labels of the time axis; none at its very beginning, where those of the other axis are. */
function times({ scales: { x } }: uPlot, splits: number[]): string[] {
  const first = (x?.min ?? 0) + ((x?.max ?? 0) - (x?.min ?? 0)) * FREE_SHARE
  return splits.map(atS => {
    if (atS < first) return ''
    const text = new Date(atS * 1000).toTimeString()
    return atS % 60 === 0 ? text.slice(0, 5) : text.slice(0, 8)
  })
}

function timeSpace(_: uPlot, __: number, min: number, max: number): number {
  return max - min < SECONDS_RANGE_S_MAX ? SECONDS_PX : MINUTES_PX
}

function linearRange(scale: ChartOptions['scale']) {
  return (_: uPlot, __: number, max: number): [number, number] => {
    if (scale === 'share') return [0, 1]
    return [0, max > 0 ? max * 1.08 : 1]
  }
}

function logRange(_: uPlot, min: number, max: number): [number, number] {
  if (!(min > 0)) return [1, 1000]
  return [10 ** Math.floor(Math.log10(min)), 10 ** Math.ceil(Math.log10(max * 1.01))]
}

/** The powers of ten in the range: lines between them would only be noise. */
function powers(_: uPlot, __: number, min: number, max: number): number[] {
  const first = Math.round(Math.log10(min))
  const last = Math.round(Math.log10(max))
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
}
