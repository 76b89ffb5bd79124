// The settings: asked for when somebody looks, and changed where that is allowed.

import type { Hello, SettingRow } from '../lib/admin/shapes.ts'
import { byId, column, isAccepted, make, RowTable, setText } from './dom.ts'
import { keyText } from './figures.ts'
import { ask, reasonOf } from './live.ts'

export class SettingsView {
  private readonly filter = byId<HTMLInputElement>('settings-filter')
  private readonly note = byId('settings-note')
  private readonly dialog = byId<HTMLDialogElement>('change')
  private readonly value = byId<HTMLInputElement>('change-value')
  private readonly table = new RowTable<SettingRow>(
    byId('settings-list'),
    [
      column('Name', ({ name }) => name),
      column('Value', ({ value }) => value, 'text'),
      column('Changed', ({ changed }) => changedText(changed), 'text'),
      { title: '', fill: (cell, row) => this.fillButton(cell, row) },
    ],
    'No setting has such a name.',
  )
  private rows: SettingRow[] = []
  private mayWrite = false

  constructor() {
    this.filter.addEventListener('input', () => this.show())
    byId('change-no').addEventListener('click', () => this.dialog.close('no'))
    byId('settings-form').addEventListener('submit', event => event.preventDefault())
    new IntersectionObserver(entries => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) void this.load()
    }).observe(byId('settings-list'))
  }

  allow({ mayWrite }: Hello): void {
    this.mayWrite = mayWrite
    this.show()
  }

  private async load(): Promise<void> {
    try {
      this.rows = await ask<SettingRow[]>('api/settings')
      this.show()
    } catch (error) {
      setText(this.note, reasonOf(error))
    }
  }

  private show(): void {
    const part = this.filter.value.trim().toLowerCase()
    this.table.show(this.rows.filter(({ name }) => name.includes(part)))
  }

  private fillButton(cell: HTMLElement, row: SettingRow): void {
    let button = cell.querySelector('button')
    if (button === null) {
      button = make('button', 'link', 'Change')
      button.type = 'button'
      button.addEventListener('click', () => void this.change(cell.dataset.name ?? ''))
      cell.replaceChildren(button)
    }
    cell.dataset.name = row.name
    button.ariaLabel = `Change ${row.name}`
    button.hidden = !(this.mayWrite && row.isChangeable)
  }

  private async change(name: string): Promise<void> {
    const row = this.rows.find(row => row.name === name)
    if (row === undefined) return
    setText(byId('change-title'), name)
    this.value.value = row.value
    const accepted = isAccepted(this.dialog)
    this.value.select()
    if (!(await accepted)) return
    const value = this.value.value.trim()
    try {
      await ask(`api/settings?name=${name}&value=${encodeURIComponent(value)}`, 'POST')
      setText(this.note, `${name} is now ${value}.`)
    } catch (error) {
      setText(this.note, `${name}: ${reasonOf(error)}.`)
    }
    await this.load()
  }
}

function changedText(changed: SettingRow['changed']): string {
  if (changed === null) return ''
  return `${new Date(changed.atS * 1000).toLocaleString()} by ${keyText(changed.who)}`
}
