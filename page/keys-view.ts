// Hot keys, long values, prefixes. A key leads to its look-up.

import type { Detail, HotKeyFacts, PrefixFacts } from '../lib/admin/shapes.ts'
import { byId, type Column, column, fillShare, make, RowTable, setText } from './dom.ts'
import { bytes, count, keyText, percent } from './figures.ts'

const HIDDEN = 'The daemon does not tell keys here: see --admin-auth and -X.'

export class KeysView {
  private readonly hot: RowTable<HotKeyFacts>
  private readonly long: RowTable<{ key: string; valueBytes: number }>
  private readonly prefixes = new RowTable<PrefixFacts>(
    byId('prefixes'),
    [
      column('Prefix', ({ prefix }) => keyText(prefix), 'key-cell'),
      column('Items', ({ items }) => count(items)),
      column('Bytes', row => bytes(row.bytes)),
      column('Hit ratio', ({ hitRatio }) => percent(hitRatio)),
    ],
    'No key has a prefix.',
  )

  /** The largest share of a key, whose bar is full. */
  private largest = 1

  /** `lookUp`: shows an item by its encoded key. */
  constructor(lookUp: (key: string) => void) {
    this.hot = new RowTable(
      byId('hot'),
      [
        keyColumn(lookUp),
        {
          title: 'Share of requests',
          fill: (cell, { share }) => fillShare(cell, percent(share), share / this.largest),
        },
        column('Requests', ({ requests }) => count(requests)),
        column('Value', ({ valueBytes }) => (valueBytes === null ? 'no item' : bytes(valueBytes))),
      ],
      'No key stands out yet.',
    )
    this.long = new RowTable(
      byId('long'),
      [keyColumn(lookUp), column('Value', ({ valueBytes }) => bytes(valueBytes))],
      'No value is known yet.',
    )
    byId('prefixes-card').hidden = true
  }

  show({ hot, long, prefixes }: Detail): void {
    if (hot === null) for (const table of [this.hot, this.long]) table.sayNothing(HIDDEN)
    this.largest = hot?.[0]?.share ?? 1
    this.hot.show(hot ?? [])
    this.long.show(long ?? [])
    byId('prefixes-card').hidden = prefixes === null
    this.prefixes.show(prefixes ?? [])
  }
}

function keyColumn<Row extends { key: string }>(lookUp: (key: string) => void): Column<Row> {
  return {
    title: 'Key',
    className: 'key-cell',
    fill: (cell, { key }) => {
      let button = cell.querySelector('button')
      if (button === null) {
        button = make('button', 'link')
        button.type = 'button'
        button.addEventListener('click', () => lookUp(cell.dataset.key ?? ''))
        cell.replaceChildren(button)
      }
      cell.dataset.key = key
      setText(button, keyText(key))
      if (button.title !== button.textContent) button.title = button.textContent ?? ''
    },
  }
}
