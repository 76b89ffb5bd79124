/**
 * Random sessions on both servers: a list of commands is sent in batches, and a session with
 * different replies is shrunk to the commands that matter. Any part of a session must be a valid
 * session.
 */
import type { Test } from 'tap'
import {
  compare,
  type Dialect,
  type Difference,
  describe,
  type Pair,
  prepare,
  printable,
  type Script,
  startPair,
} from './differential.ts'
import { announceSeed, createRandom, type Random } from './prng.ts'
import { runs } from './runs.ts'

/** One command as latin1 text, with its value if it has one. */
export type Command = string

export type Cutting = Pick<Script, 'cuts' | 'everyByte'>

/** A session that the servers answer differently. */
export interface Mismatch {
  /** The seed and the part of the run. */
  readonly where: string
  readonly session: Command[]
  readonly cutting: Cutting
  readonly first: Difference
}

/** What all sessions of a protocol share. */
export interface Kind {
  readonly dialect?: Dialect
  /** Removes everything that an earlier session left. */
  readonly reset: string
  /** Sent after a batch: what a broken command may consume instead of the mark. */
  readonly resync: string
}

/** Draws a session of `count` commands. */
export type Draw = (random: Random, commands: number) => Command[]

const COMMANDS = runs(8000, 100_000)
const SESSION_COMMANDS = 400
const SHORT_COMMANDS = 15
/** Longer commands take long when cut at every byte and show nothing new. */
const SHORT_BYTES_MAX = 400
const BATCH_COMMANDS = 100
const SHRINK_RUNS_MAX = 400

/** Asserts that both servers answer random sessions alike, some of them cut at random places. */
export async function compareRandomSessions(t: Test, kind: Kind, draw: Draw): Promise<void> {
  const seed = announceSeed(t)
  const pair = await startPair(t)
  const sessionCount = Math.ceil(COMMANDS / SESSION_COMMANDS)
  for (let part = 0; part < sessionCount; part++) {
    const random = createRandom(seed, part)
    const session = draw(random, SESSION_COMMANDS)
    const cuts = random.once(3) ? randomCuts(random) : []
    const found = await tryCommands(pair, kind, session, { cuts })
    if (found === undefined) continue
    const where = `seed ${seed}, session ${part}`
    return report(t, pair, kind, { where, session, cutting: { cuts }, first: found })
  }
  t.pass(`${sessionCount * SESSION_COMMANDS} commands`)
}

/** Asserts that both servers answer short sessions alike when every byte is sent separately. */
export async function compareCutSessions(
  t: Test,
  kind: Kind,
  draw: Draw,
  sessionCount: number,
): Promise<void> {
  const seed = announceSeed(t)
  const pair = await startPair(t)
  for (let part = 0; part < sessionCount; part++) {
    const random = createRandom(seed, 1_000_000 + part)
    const session = draw(random, SHORT_COMMANDS).filter(({ length }) => length < SHORT_BYTES_MAX)
    const found = await tryCommands(pair, kind, session, { everyByte: true })
    if (found === undefined) continue
    const where = `seed ${seed}, short session ${part}`
    return report(t, pair, kind, { where, session, cutting: { everyByte: true }, first: found })
  }
  t.pass(`${sessionCount} sessions`)
}

/** Sends a session in batches to both servers, on keys that do not exist. */
export async function tryCommands(
  pair: Pair,
  kind: Kind,
  commands: Command[],
  cutting: Cutting,
): Promise<Difference | undefined> {
  const { dialect } = kind
  await prepare(pair, kind.reset, dialect)
  const steps: string[] = []
  for (let start = 0; start < commands.length; start += BATCH_COMMANDS) {
    steps.push(commands.slice(start, start + BATCH_COMMANDS).join('') + kind.resync)
  }
  return compare(pair, {
    steps,
    dialect,
    withoutPadding: true,
    closeLosesReplies: true,
    ...cutting,
  })
}

/** Fails the test with the shortest session that was found to differ, and both replies. */
export async function report(
  t: Test,
  pair: Pair,
  kind: Kind,
  { where, session, cutting, first }: Mismatch,
): Promise<void> {
  const fails = async (commands: Command[]) =>
    (await tryCommands(pair, kind, commands, cutting)) !== undefined
  const shortest = await shrink(session, fails)
  const found = await tryCommands(pair, kind, shortest, cutting)
  t.fail(`${where}: ${shortest.length} of ${session.length} commands are enough`, {
    commands: shortest.map(command => printable(command)),
    first: describe(first),
    replies: found === undefined ? 'equal when sent again' : describe(found),
  })
}

/** Finds the shortest failing prefix, then removes each command that it still fails without. */
export async function shrink(
  session: Command[],
  fails: (commands: Command[]) => Promise<boolean>,
): Promise<Command[]> {
  let low = 0
  let high = session.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (await fails(session.slice(0, middle))) high = middle
    else low = middle
  }
  let commands = session.slice(0, high)
  let runs = 0
  for (let size = commands.length >> 1; size >= 1; size >>= 1) {
    for (let start = 0; start < commands.length && runs < SHRINK_RUNS_MAX; runs++) {
      const without = commands.toSpliced(start, size)
      if (await fails(without)) commands = without
      else start += size
    }
  }
  return commands
}

function randomCuts(random: Random): number[] {
  return Array.from({ length: random.between(1, 12) }, () => random.below(1_000_000) / 1_000_000)
}
