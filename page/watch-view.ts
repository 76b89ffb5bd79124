// The lines of watchers, while somebody asks for them: the newest ones, and how many were left out.

import type { Hello } from '../lib/admin/shapes.ts'
import { byId, make, makeScrollable, setText } from './dom.ts'
import { exact, keyText } from './figures.ts'

/** Most lines that the page keeps. */
const LINES_MAX = 300

/** Within this distance of its end the list follows new lines. */
const FOLLOW_PX = 40

interface Lines {
  lines: string[]
  leftOut: number
}

export class WatchView {
  private readonly lines = byId('watch-lines')
  private readonly button = byId<HTMLButtonElement>('watch-start')
  private readonly note = byId('watch-note')
  private events: EventSource | null = null
  private leftOut = 0

  constructor() {
    makeScrollable(this.lines, 'Watched lines')
    byId('watch-form').addEventListener('submit', event => {
      event.preventDefault()
      if (this.events === null) this.start(new FormData(event.target as HTMLFormElement))
      else this.stop('Stopped.')
    })
  }

  allow({ mayWatch }: Hello): void {
    this.button.disabled = !mayWatch
    if (!mayWatch)
      setText(this.note, 'The daemon does not tell what clients do: see --admin-auth and -W.')
  }

  private start(form: FormData): void {
    const kinds = form.getAll('kind').join(',')
    if (kinds === '') return setText(this.note, 'Choose what to watch.')
    this.lines.replaceChildren()
    this.leftOut = 0
    const events = new EventSource(`events/watch?kinds=${kinds}`)
    this.events = events
    setText(this.button, 'Stop')
    setText(this.note, 'Watching.')
    events.addEventListener('lines', event => {
      this.add(JSON.parse((event as MessageEvent<string>).data))
    })
    events.addEventListener('error', () => this.stop('The daemon ended the stream, or refused it.'))
  }

  private stop(reason: string): void {
    this.events?.close()
    this.events = null
    setText(this.button, 'Start')
    setText(this.note, reason)
  }

  private add({ lines, leftOut }: Lines): void {
    const { scrollTop, scrollHeight, clientHeight } = this.lines
    const follows = scrollHeight - scrollTop - clientHeight < FOLLOW_PX
    this.lines.append(...lines.map(lineOf))
    while (this.lines.childElementCount > LINES_MAX) this.lines.firstElementChild?.remove()
    if (follows) this.lines.scrollTop = this.lines.scrollHeight
    if (leftOut === 0) return
    this.leftOut += leftOut
    setText(this.note, `Watching. ${exact(this.leftOut)} lines left out.`)
  }
}

/** `ts=1.2 gid=3 type=item_get key=a ...` -> its time, its type, the rest. */
function lineOf(text: string): HTMLElement {
  const line = make('p')
  const [, at, type, rest] = /^ts=(\d+)\.\d+ gid=\d+ type=(\w+) (.*)$/.exec(text) ?? []
  if (at === undefined || type === undefined) {
    line.textContent = text
    return line
  }
  line.append(
    make('time', '', new Date(Number(at) * 1000).toTimeString().slice(0, 8)),
    make('span', 'event', type),
    ` ${rest?.replace(/(?<=\bkey=)\S+/, readable)}`,
  )
  return line
}

/** A key as text, unless it would look like more than one word. */
function readable(encoded: string): string {
  const text = keyText(encoded)
  return /\s/.test(text) ? encoded : text
}
