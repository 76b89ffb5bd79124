// The rights that commands need which name no key: the table for the text and the binary protocol.
// What names a key is asked operation by operation (guarded.ts). docs/access.md has all of it.

import { Need } from '../access/rights.ts'
import { Verb } from './words/verbs.ts'

/** Reports of `stats` that say neither keys nor addresses of peers nor paths. */
const OPEN_REPORTS: ReadonlySet<string> = new Set([
  '',
  'items',
  'slabs',
  'sizes',
  'memslab',
  'latency',
  'mrc',
])

/** Needs of `stats name`. What is no report of these, and what changes something, is admin's. */
export function needsOfStats(name: string): number {
  return OPEN_REPORTS.has(name) ? Need.READ : Need.ADMIN
}

/** Needs of an operators' command of the text protocol; `word` is the one after its verb. */
export function needsOfControl(verb: Verb, word: string): number {
  switch (verb) {
    case Verb.VERSION:
      return Need.NOTHING
    case Verb.STATS:
      return needsOfStats(word)
    case Verb.CONFIG:
      // How clients discover the nodes of their cluster.
      return word === 'get' ? Need.READ : Need.ADMIN
    default:
      return Need.ADMIN
  }
}
