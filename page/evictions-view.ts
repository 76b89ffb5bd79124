// What left the cache, why, and how old it was; and what more memory would change.

import type { ClassFacts, CurveFacts } from '../lib/admin/shapes.ts'
import { CurveChart } from './curve.ts'
import { byId, column, RowTable, Tiles } from './dom.ts'
import { age, bytes, count, exact, percent } from './figures.ts'
import type { History } from './history.ts'

export class EvictionsView {
  private readonly causes = new Tiles(byId('causes'))
  private readonly curve = new CurveChart(byId('curve'))
  private readonly curveCard = byId('curve-card')
  private history: History | null = null
  private readonly classes = new RowTable<ClassFacts>(
    byId('evicted'),
    [
      column('Class', ({ id }) => String(id)),
      column('Chunk', ({ chunkBytes }) => bytes(chunkBytes)),
      column('Evicted per second', ({ id }) =>
        count(this.history?.classRate(id, 'evicted') ?? null),
      ),
      column('Evicted', ({ evicted }) => exact(evicted)),
      column('Never read', ({ evicted, evictedUnfetched }) =>
        percent(evictedUnfetched / Math.max(1, evicted), 0),
      ),
      column('Idle when evicted', ({ evictedIdleS }) => age(evictedIdleS)),
      column('Coldest item idle', ({ coldestIdleS }) => age(coldestIdleS)),
    ],
    'No class has evicted an item.',
  )

  constructor() {
    this.curveCard.hidden = true
  }

  show(history: History): void {
    this.history = history
    const { last, points } = history
    if (last === null) return
    const stat = (row: string) => last.stats[row] ?? 0
    const now = points.at(-1)
    const { causes } = this
    const { removed } = last
    const evicted = removed.memory + removed.page_move
    const unread = stat('evicted_unfetched') / Math.max(1, evicted)
    causes.show('Evicted for room', count(removed.memory), `${count(now?.evicted ?? null)}/s`)
    causes.show('Evicted by a page move', count(removed.page_move), 'its page changed its class')
    causes.show('Unread of these', percent(unread, 0), `in use ${count(stat('evicted_active'))}`)
    causes.show('Expired', count(removed.expired), 'met when room was wanted')
    causes.show('Found by a crawl', count(removed.crawler + removed.flushed), 'expired or flushed')
    causes.show('Stores refused', count(stat('store_no_memory')), 'for lack of memory')
    this.classes.show(last.classes.filter(({ evicted }) => evicted > 0))
  }

  showCurve(curve: CurveFacts | null): void {
    this.curveCard.hidden = curve === null || curve.points.length === 0
    if (curve !== null) this.curve.show(curve)
  }
}
