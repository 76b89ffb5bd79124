// Hot keys, long values, prefixes. A key leads to its look-up.

import type { Detail, HotKeyFacts, PrefixFacts } from '../lib/admin/shapes.ts'
import { byId, type Column, column, fillShare, make, RowTable, setText } from './dom.ts'
import { bytes, count, keyText, percent } from './figures.ts'

/** Shares below this have two decimals. */
const SMALL = 0.01
const HIDDEN = 'The daemon does not tell keys here: see --admin-auth and -X.'

export class KeysView {
  private readonly hot: RowTable<HotKeyFacts>
  private readonly long: RowTable<{ key: string; valueBytes: number }>
  private readonly prefixes = new RowTable<PrefixFacts>(
    byId('prefixes'),
    [
      column('Prefix', ({ prefix }) => (prefix === '' ? 'others' : keyText(prefix)), 'key-cell'),
      column('Items', ({ items }) => count(items)),
      {
        title: 'Bytes',
        fill: (cell, row) => fillShare(cell, bytes(row.bytes), row.bytes / this.prefixBytes),
      },
      {
        title: 'Hit ratio',
        fill: (cell, { hitRatio }) => fillShare(cell, percent(hitRatio), hitRatio ?? 0),
      },
    ],
    'No key was sampled yet.',
  )

  /** What fills a bar: the largest share of a key, the bytes of all prefixes. */
  private largest = 1
  private prefixBytes = 1

  /** `lookUp`: shows an item by its encoded key. */
  constructor(lookUp: (key: string) => void) {
    this.hot = new RowTable(
      byId('hot'),
      [
        keyColumn(lookUp),
        {
          title: 'Share of requests',
          fill: (cell, { share }) =>
            fillShare(cell, percent(share, share < SMALL ? 2 : 1), share / this.largest),
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
    this.prefixBytes = Math.max(1, prefixes?.reduce((sum, row) => sum + row.bytes, 0) ?? 1)
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
