// Looks at the nodes of a pool: their figures by `stats` and `stats mrc`, memslab or memcached.
// Rates are those since the look before.

import { parseServer } from '../../../client/members/servers.ts'
import { numberOf, rateOf, type Sample, sampleOf } from '../../servers/sample.ts'
import { type Access, type Report, StatsLink } from '../../servers/stats-link.ts'
import type { Curve, Figures, NodeLook } from '../decide/look.ts'
import { CURVE_LOOKUPS_MIN } from '../limits.ts'

/** What a sample has, in this order; what the scaler does not need is not asked for. */
const ASKED = ['', 'mrc'] as const

export interface Watching {
  look(names: readonly string[]): Promise<NodeLook[]>
  close(): void
}

interface Subject {
  link: StatsLink
  before: Sample | undefined
}

export class Watch implements Watching {
  private readonly access: Access
  private readonly subjects = new Map<string, Subject>()

  constructor(access: Access) {
    this.access = access
  }

  async look(names: readonly string[]): Promise<NodeLook[]> {
    for (const [name, { link }] of this.subjects) {
      if (names.includes(name)) continue
      link.close()
      this.subjects.delete(name)
    }
    return Promise.all(names.map(async name => ({ name, figures: await this.lookAt(name) })))
  }

  close(): void {
    for (const { link } of this.subjects.values()) link.close()
    this.subjects.clear()
  }

  private async lookAt(name: string): Promise<Figures | null> {
    const subject = this.subjects.get(name) ?? this.subjectOf(name)
    try {
      const [general, curve] = await subject.link.ask(ASKED)
      const none: Report = new Map()
      const reports = [general, none, none, none, none, none, curve ?? none]
      const now = sampleOf(reports, performance.now())
      const { before } = subject
      subject.before = now
      return figuresOf(before, now)
    } catch {
      subject.before = undefined
      return null
    }
  }

  private subjectOf(name: string): Subject {
    const subject = { link: new StatsLink(parseServer(name), this.access), before: undefined }
    this.subjects.set(name, subject)
    return subject
  }
}

/** Exported for its test. */
export function figuresOf(before: Sample | undefined, now: Sample): Figures {
  const { general } = now
  const of = (row: string) => known(numberOf(general, row))
  const rate = (rows: readonly string[]) =>
    before === undefined ? null : known(rateOf(before, now, rows))
  const cpuS = rate(['rusage_user', 'rusage_system'])
  const threads = of('threads')
  return {
    cpu: cpuS === null || !threads ? null : (100 * cpuS) / threads,
    connections: of('curr_connections'),
    items: of('curr_items'),
    bytes: of('bytes'),
    limitBytes: of('limit_maxbytes'),
    evictions: rate(['evictions']),
    hits: rate(['get_hits']),
    curve: curveOf(now.curve),
  }
}

function curveOf(report: Report): Curve | null {
  const lookups = numberOf(report, 'lookups')
  if (!(lookups >= CURVE_LOOKUPS_MIN)) return null
  const sizes = [...report.keys()].flatMap(row => /^([\d.]+):hit_percent$/.exec(row)?.[1] ?? [])
  const points = sizes
    .map(size => [Number(size), numberOf(report, `${size}:hit_percent`)] as const)
    .filter(([memory, percent]) => memory > 0 && Number.isFinite(percent))
    .sort(([a], [b]) => a - b)
  return { lookups, points }
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null
}
