/**
 * Replies of memcached 1.6.45 that differ from those of Debian's 1.6.18, the oracle of these tests.
 * memslab follows the newer one. A row has the newer replies, one for each step, as literal text
 * (normalised like everything: see support/normalise.ts), and the cases that get them. Rows with
 * `own` are for cases where memslab follows neither, and say why.
 *
 * Cases without a row are compared with the oracle, cases with one are compared with the row. A row
 * whose replies are the oracle's fails, since it is not needed.
 */
import {
  compare,
  type Difference,
  describe,
  difference,
  type Outcome,
  type Pair,
  runScript,
  type Script,
} from '../../support/differential.ts'
import { isOracleNewer } from '../../support/oracle.ts'
import type { Case, Group, Row } from './case.ts'
import { binaryRows } from './newer-binary.ts'
import { controlRows } from './newer-control.ts'
import { metaRows } from './newer-meta.ts'
import { textRows } from './newer-text.ts'

export const newerRows: readonly Row[] = [...controlRows, ...textRows, ...metaRows, ...binaryRows]

type How = Partial<Script> & {
  /** Both run with -C: every CAS is 0. */
  readonly casOff?: boolean
}

const isNewer = isOracleNewer()

const rowsByCase = new Map(
  newerRows.flatMap(row => row.cases.map(name => [`${row.group}: ${name}`, row] as const)),
)

/**
 * The difference between the daemon and the oracle, or the row if there is one; undefined: none.
 */
export async function compareCase(
  pair: Pair,
  group: string,
  [name, steps, kind]: Case,
  { casOff = false, ...how }: How = {},
): Promise<string | undefined> {
  const all = typeof steps === 'string' ? [steps] : steps
  const script = { ...how, steps: all, raw: kind === 'raw' }
  const known = rowsByCase.get(`${group}: ${name}`)
  const row = known?.casOff === true && !casOff ? undefined : known
  if (row === undefined) return described(await compare(pair, script))
  const [oracle, daemon] = await Promise.all([
    runScript(pair.oracle.port, script),
    runScript(pair.daemon.port, script),
  ])
  const replies = casOff ? row.replies.map(reply => reply.replace(/ c#\d/g, ' c0')) : row.replies
  const newer: Outcome = { replies, state: row.state ?? 'open' }
  const isNeeded = difference(oracle, newer) !== undefined
  if (isNewer && isNeeded !== (row.own !== undefined)) return 'the newer release answers otherwise'
  if (!isNewer && !isNeeded) return 'the oracle answers so too: no row is needed'
  return described(difference(newer, daemon, how.closeLosesReplies))
}

/** Rows whose case is in none of the groups, and cases with two rows. */
export function strayRows(rows: readonly Row[], groups: readonly Group[]): string[] {
  const named = rows.flatMap(({ group, cases }) => cases.map(name => `${group}: ${name}`))
  const known = new Set(
    groups.flatMap(group => group.cases.map(([name]) => `${group.name}: ${name}`)),
  )
  return named.filter((name, index) => !known.has(name) || named.indexOf(name) !== index)
}

function described(found: Difference | undefined): string | undefined {
  return found === undefined ? undefined : describe(found)
}
