// Which prefixes the sampled keys have: numbers for the tags of a miniature cache, and counts of
// their lookups. A new prefix takes the number of one that no item has. If all have items,
// it counts as OTHER.

import { TAGS_MAX } from './mini-cache.ts'

/** The tag of keys without a prefix, and of prefixes that have no number. */
const OTHER = 0

export class PrefixTable {
  readonly names: string[] = ['']
  readonly hits = new Float64Array(TAGS_MAX)
  readonly misses = new Float64Array(TAGS_MAX)
  private readonly tags = new Map<string, number>([['', OTHER]])

  /** The tag of a prefix. `entries`: entries of each tag in the cache. */
  tagOf(prefix: string, entries: Int32Array): number {
    const known = this.tags.get(prefix)
    if (known !== undefined) return known
    const tag = this.names.length < TAGS_MAX ? this.names.length : this.leastUsed(entries)
    if (tag === OTHER) return OTHER
    if (tag < this.names.length) this.tags.delete(this.names[tag])
    this.names[tag] = prefix
    this.hits[tag] = 0
    this.misses[tag] = 0
    this.tags.set(prefix, tag)
    return tag
  }

  /** Lets older lookups count less. */
  fade(factor: number): void {
    for (let tag = 0; tag < this.names.length; tag++) {
      this.hits[tag] *= factor
      this.misses[tag] *= factor
    }
  }

  /** The tag with fewest lookups of those that no entry has; OTHER: there is none. */
  private leastUsed(entries: Int32Array): number {
    let least = OTHER
    let lookups = Number.POSITIVE_INFINITY
    for (let tag = 1; tag < this.names.length; tag++) {
      const count = this.hits[tag] + this.misses[tag]
      if (entries[tag] > 0 || count >= lookups) continue
      least = tag
      lookups = count
    }
    return least
  }
}
