// Elements of the page: found, made, and changed only where something is new.

/** The element with this id, which index.html has. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found as E
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = '',
  text = '',
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag)
  if (className !== '') made.className = className
  if (text !== '') made.textContent = text
  return made
}

export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text
}

/** A coloured square before a name. */
export function swatch(color: string, className = ''): HTMLElement {
  const made = make('i', `swatch ${className}`.trim())
  made.style.setProperty('--swatch', color)
  return made
}

/** Lets the keyboard scroll what is larger than its place. */
export function makeScrollable(place: HTMLElement, name: string): void {
  place.tabIndex = 0
  place.role = 'region'
  place.ariaLabel = name
}

/** Shows a dialog. Resolves to whether it was left by its button `yes`. */
export async function isAccepted(dialog: HTMLDialogElement): Promise<boolean> {
  dialog.returnValue = 'no'
  dialog.showModal()
  await new Promise(resolve => dialog.addEventListener('close', resolve, { once: true }))
  return dialog.returnValue === 'yes'
}

/** Facts as tiles: a name, a large value with its unit, and a line below. */
export class Tiles {
  private readonly place: HTMLElement
  private readonly tiles = new Map<string, HTMLElement[]>()

  constructor(place: HTMLElement) {
    this.place = place
  }

  show(name: string, value: string, more = ''): void {
    const [number, unit, below] = this.tileOf(name)
    const [digits = '', ...rest] = value.split(' ')
    setText(number, digits)
    setText(unit, rest.join(' '))
    setText(below, more)
  }

  private tileOf(name: string): [HTMLElement, HTMLElement, HTMLElement] {
    const known = this.tiles.get(name)
    if (known !== undefined) return known as [HTMLElement, HTMLElement, HTMLElement]
    const tile = make('div', 'tile')
    const value = make('dd', 'value')
    const [number, unit, below] = [make('span'), make('span', 'unit'), make('dd', 'more')]
    value.append(number, ' ', unit)
    tile.append(make('dt', '', name), value, below)
    this.place.append(tile)
    const made: [HTMLElement, HTMLElement, HTMLElement] = [number, unit, below]
    this.tiles.set(name, made)
    return made
  }
}

export interface Column<Row> {
  title: string
  className?: string
  /** Writes a row's value into its cell, which may have that of another row. */
  fill(cell: HTMLElement, row: Row): void
}

/** A column of text. */
export function column<Row>(
  title: string,
  text: (row: Row) => string,
  className = '',
): Column<Row> {
  return { title, className, fill: (cell, row) => setText(cell, text(row)) }
}

/** A table whose rows are written over when they change, so that focus and selection stay. */
export class RowTable<Row> {
  private readonly columns: readonly Column<Row>[]
  private readonly body = make('tbody')
  private readonly table = make('table')
  private readonly nothing: HTMLElement
  /** Told which row the pointer or the focus is on; null: none. */
  onPoint: (row: Row | null) => void = () => {}
  private rows: readonly Row[] = []

  constructor(place: HTMLElement, columns: readonly Column<Row>[], nothing: string) {
    this.columns = columns
    const head = make('tr')
    for (const { title, className } of columns) {
      const cell = make('th', className, title)
      cell.scope = 'col'
      head.append(cell)
    }
    const heading = make('thead')
    heading.append(head)
    this.table.append(heading, this.body)
    this.nothing = make('p', 'note', nothing)
    place.append(this.table, this.nothing)
    makeScrollable(place, place.closest('.card')?.querySelector('h3')?.textContent ?? '')
    this.body.addEventListener('pointerover', event => this.point(event.target))
    this.body.addEventListener('pointerleave', () => this.onPoint(null))
    this.show([])
  }

  show(rows: readonly Row[]): void {
    this.rows = rows
    this.table.hidden = rows.length === 0
    this.nothing.hidden = rows.length > 0
    while (this.body.rows.length > rows.length) this.body.deleteRow(-1)
    for (const [index, row] of rows.entries()) {
      const line = this.body.rows[index] ?? this.addLine()
      for (const [i, { fill }] of this.columns.entries()) fill(line.cells[i] as HTMLElement, row)
    }
  }

  /** What is said while there is no row. */
  sayNothing(text: string): void {
    setText(this.nothing, text)
  }

  private addLine(): HTMLTableRowElement {
    const line = make('tr')
    for (const [i, { className }] of this.columns.entries()) {
      const cell = make(i === 0 ? 'th' : 'td', className)
      if (cell instanceof HTMLTableCellElement && i === 0) cell.scope = 'row'
      line.append(cell)
    }
    this.body.append(line)
    return line
  }

  private point(target: EventTarget | null): void {
    const line = target instanceof Element ? target.closest('tr') : null
    this.onPoint(line === null ? null : (this.rows[line.sectionRowIndex] ?? null))
  }
}

/** A cell with a text and a bar for a share, 0 to 1. */
export function fillShare(cell: HTMLElement, text: string, share: number): void {
  let bar = cell.querySelector<HTMLElement>('.share i')
  if (bar === null) {
    bar = make('i')
    const frame = make('span', 'share')
    frame.append(bar)
    cell.replaceChildren(make('span'), frame)
  }
  setText(cell.firstElementChild as HTMLElement, text)
  bar.style.width = `${Math.min(100, share * 100).toFixed(1)}%`
}
