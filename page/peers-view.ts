// Workers, and the clients that are connected: asked for when somebody looks, page by page.

import type { ConnectionPage, ConnectionRow, WorkerFacts } from '../lib/admin/shapes.ts'
import { byId, column, fillShare, RowTable, setText } from './dom.ts'
import { age, exact, micros, percent } from './figures.ts'
import type { History } from './history.ts'
import { ask, reasonOf } from './live.ts'

interface WorkerRow extends WorkerFacts {
  name: string
  load: number | null
}

export class PeersView {
  private readonly workers = new RowTable<WorkerRow>(
    byId('workers'),
    [
      column('Thread', ({ name }) => name),
      column('Connections', ({ connections }) => exact(connections)),
      {
        title: 'CPU',
        fill: (cell, { load }) => fillShare(cell, percent(load, 0), load ?? 0),
      },
      column('Longest loop delay', ({ loopDelayUs }) => micros(loopDelayUs)),
    ],
    'No worker.',
  )
  private readonly peers = new RowTable<ConnectionRow>(
    byId('peers'),
    [
      column('Number', ({ id }) => String(id)),
      column('Client', ({ address }) => address, 'text'),
      column('Through', ({ listener }) => listener, 'text'),
      column('State', ({ state }) => state.replace('conn_', ''), 'text'),
      column('Idle', ({ idleS }) => age(idleS)),
    ],
    'No client is connected.',
  )
  private readonly more = byId('peers-more')
  private rows: ConnectionRow[] = []
  private next: number | null = null
  private wasSeen = false

  constructor() {
    byId('peers-reload').addEventListener('click', () => void this.load(0))
    this.more.addEventListener('click', () => void this.load(this.next ?? 0))
    new IntersectionObserver(entries => {
      if (this.wasSeen || !entries.some(({ isIntersecting }) => isIntersecting)) return
      this.wasSeen = true
      void this.load(0)
    }).observe(byId('peers'))
  }

  show(history: History): void {
    const { last } = history
    if (last === null) return
    const rows = last.workers.map((worker, number) => {
      const name = number === last.workers.length - 1 ? 'main' : `worker ${number}`
      return { ...worker, name, load: history.threadLoad(number) }
    })
    this.workers.show(rows)
  }

  private async load(after: number): Promise<void> {
    const note = byId('peers-note')
    try {
      const page = await ask<ConnectionPage>(`api/connections?after=${after}`)
      this.rows = after === 0 ? page.rows : [...this.rows, ...page.rows]
      this.next = page.next
      this.peers.show(this.rows)
      this.more.hidden = page.next === null
      setText(note, `${exact(this.rows.length)} of ${exact(page.total)}`)
    } catch (error) {
      setText(note, reasonOf(error))
    }
  }
}
