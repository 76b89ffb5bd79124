// The terminal of `memslab top`: key presses -> choices, and the picture on the alternate screen,
// which leaves the terminal as it was.

import { emitKeypressEvents, type Key } from 'node:readline'
import type { Measures } from './measures.ts'
import { type Choices, COLUMNS, picture } from './picture.ts'

const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'

const HELP = 'q quit   s/S sort   r reverse   j/k select   / filter   p pause'
const FILTER_CHARS_MAX = 64
/** Of a terminal that does not say how large it is. */
const COLUMNS_ASSUMED = 80
const ROWS_ASSUMED = 24

export class Screen {
  readonly choices: Choices = { sort: 0, reversed: false, filter: '', selected: 0 }
  /** Resolves when the operator quits. */
  readonly quit: Promise<void>
  private readonly input = process.stdin
  private readonly output = process.stdout
  private readonly finish: () => void
  private shown: readonly Measures[] = []
  private isPaused = false
  private isTyping = false

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.quit = promise
    this.finish = resolve
  }

  open(): void {
    emitKeypressEvents(this.input)
    this.input.setRawMode(true)
    this.input.on('keypress', this.press)
    this.output.on('resize', this.draw)
    this.output.on('error', this.finish)
    this.output.write(ENTER)
  }

  close(): void {
    this.input.off('keypress', this.press).setRawMode(false).pause()
    this.output.off('resize', this.draw)
    this.output.write(LEAVE)
  }

  show(measures: readonly Measures[]): void {
    if (this.isPaused) return
    this.shown = measures
    this.draw()
  }

  private readonly draw = (): void => {
    const [columns, rows] = [
      this.output.columns || COLUMNS_ASSUMED,
      this.output.rows || ROWS_ASSUMED,
    ]
    const lines = picture(this.shown, this.choices, columns, rows - 1)
    const below = this.isTyping ? `filter: ${this.choices.filter}_` : this.footer()
    const all = [...lines, below.slice(0, columns)]
    this.output.write(`${HOME}${all.map(line => line + CLEAR_LINE).join('\r\n')}${CLEAR_BELOW}`)
  }

  private footer(): string {
    const { filter } = this.choices
    const marks = [this.isPaused ? 'PAUSED' : '', filter === '' ? '' : `filter: ${filter}`]
    return [HELP, ...marks].filter(mark => mark !== '').join('   ')
  }

  private readonly press = (text: string | undefined, { name, ctrl }: Key): void => {
    if (ctrl === true && (name === 'c' || name === 'd')) return this.finish()
    if (this.isTyping) this.type(text ?? '', name ?? '')
    else this.choose(text ?? '', name ?? '')
    this.draw()
  }

  private type(text: string, name: string): void {
    const { choices } = this
    if (name === 'return' || name === 'enter') this.isTyping = false
    else if (name === 'escape') {
      this.isTyping = false
      choices.filter = ''
    }
    if (name === 'backspace') choices.filter = choices.filter.slice(0, -1)
    else if (/^[\x20-\x7e]$/.test(text) && choices.filter.length < FILTER_CHARS_MAX) {
      choices.filter += text
    }
  }

  private choose(text: string, name: string): void {
    const { choices } = this
    const last = Math.max(0, this.shown.length - 1)
    if (text === 'q') this.finish()
    else if (text === 's') choices.sort = (choices.sort + 1) % COLUMNS.length
    else if (text === 'S') choices.sort = (choices.sort + COLUMNS.length - 1) % COLUMNS.length
    else if (text === 'r') choices.reversed = !choices.reversed
    else if (text === 'p') this.isPaused = !this.isPaused
    else if (text === '/') this.isTyping = true
    else if (text === 'j' || name === 'down')
      choices.selected = Math.min(last, choices.selected + 1)
    else if (text === 'k' || name === 'up') choices.selected = Math.max(0, choices.selected - 1)
    else if (name === 'escape') choices.filter = ''
  }
}
