/**
 * Sends the same bytes to two servers: the oracle and the daemon under test. A script is a list of
 * steps; each step is sent once the replies to the one before are complete. A mark after each step
 * shows that: a set and a get with a reply that nothing else prints. A raw script, for streams that
 * end inside a request, sends no mark and reads until no reply comes.
 */
import { startDaemon, withThreads } from './daemon.ts'
import { createNormaliser, type Normaliser } from './normalise.ts'
import { startOracle } from './oracle.ts'
import type { Owner, ServerProcess } from './process.ts'
import { type ReadEnd, Wire } from './wire.ts'

/** Bytes as latin1 text; `<CAS k>` stands for the last CAS number seen for key k. */
export type Step = string

/** How the steps of a protocol are sent, recognised as answered, and compared. */
export interface Dialect {
  /** The mark after every step, and its reply, whose end nothing else prints. */
  readonly mark: string
  readonly markReply: string
  readonly markReplyEnd: string
  createNormaliser(withoutPadding?: boolean): Normaliser
  /** The step with its CAS placeholders filled in. */
  fill(step: Step, normalise: Normaliser): string
}

export interface Script {
  readonly steps: readonly Step[]
  /** The classic text protocol by default. */
  readonly dialect?: Dialect
  readonly raw?: boolean
  /** How long a raw script waits for more replies. */
  readonly quietMs?: number
  /** Where each step is cut into writes: fractions of its length in [0, 1). */
  readonly cuts?: readonly number[]
  /** One write for every byte. */
  readonly everyByte?: boolean
  /** Compare numbers without trailing spaces: see normalise.ts. */
  readonly withoutPadding?: boolean
  /** Where both close, the oracle's replies may end earlier: see normalise.ts. */
  readonly closeLosesReplies?: boolean
}

export interface Outcome {
  /** One normalised reply for each step. */
  readonly replies: readonly string[]
  readonly state: 'open' | 'closed' | 'stuck'
}

export interface Pair {
  readonly oracle: ServerProcess
  readonly daemon: ServerProcess
}

export interface Difference {
  readonly step: number
  readonly oracle: string
  readonly daemon: string
}

const MARK_KEY = 'mark@end'
const MARK = `set ${MARK_KEY} 0 0 4\r\nDONE\r\nget ${MARK_KEY}\r\n`
const MARK_REPLY_END = `VALUE ${MARK_KEY} 0 4\r\nDONE\r\nEND\r\n`
const TEXT: Dialect = {
  mark: MARK,
  markReply: `STORED\r\n${MARK_REPLY_END}`,
  markReplyEnd: MARK_REPLY_END,
  createNormaliser,
  fill: (step, normalise) =>
    step.replace(/<CAS ([^>]+)>/g, (_, key) => normalise.lastCas(key) ?? '0'),
}
const REPLY_MS_MAX = 15_000 // without a byte, while the mark's reply is owed
const WARM_UP_CONNECTIONS = 8
const WARM_UP_MS_MAX = 3000 // a server that speaks no text does not answer
const RAW_QUIET_MS = 200
const SHOWN_CHARS_MAX = 400

/**
 * Connections for what is sent before scripts. They stay open, because opening them takes longer.
 */
const preparing = new WeakMap<Pair, Promise<Wire[]>>()

export async function startPair(owner: Owner, given: string[] = []): Promise<Pair> {
  const args = withThreads(given)
  const [oracle, daemon] = await Promise.all([startOracle(owner, args), startDaemon(owner, args)])
  // Waits for every thread to answer: a server accepts before all threads have started.
  await Promise.all([oracle, daemon].map(server => warmUp(server.port)))
  return { oracle, daemon }
}

/** Runs a script on both servers, each on a connection of its own. */
export async function compare(pair: Pair, script: Script): Promise<Difference | undefined> {
  const [oracle, daemon] = [new Course(script), new Course(script)]
  await Promise.all([
    runCourse(pair.oracle.port, oracle, () => oracle.isAs(daemon)),
    runCourse(pair.daemon.port, daemon, () => daemon.isAs(oracle)),
  ])
  return difference(oracle, daemon, script.closeLosesReplies)
}

/** Sends a step to both servers that prepares what the next script will find. */
export async function prepare(pair: Pair, step: Step, dialect: Dialect = TEXT): Promise<void> {
  const wires = preparing.get(pair) ?? connectBoth(pair)
  preparing.set(pair, wires)
  await Promise.all((await wires).map(wire => sendMarked(wire, step, dialect)))
}

async function connectBoth({ oracle, daemon }: Pair): Promise<Wire[]> {
  const wires = await Promise.all([oracle, daemon].map(({ port }) => Wire.connect(port)))
  for (const wire of wires) wire.unref()
  return wires
}

async function sendMarked(wire: Wire, step: Step, dialect: Dialect): Promise<void> {
  wire.send(Buffer.from(step + dialect.mark, 'latin1'))
  const end = await wire.readUntil(Buffer.from(dialect.markReplyEnd, 'latin1'), REPLY_MS_MAX)
  if (end !== 'found') throw new Error(`no reply to ${printable(step)}: ${end}`)
  wire.take()
}

export async function runScript(port: number, script: Script): Promise<Outcome> {
  const course = new Course(script)
  await runCourse(port, course, () => true)
  return course
}

/** A script on its way through a server, and what came back so far. */
class Course implements Outcome {
  readonly script: Script
  readonly dialect: Dialect
  replies: string[] = []
  state: Outcome['state'] = 'open'
  readonly #raw: string[] = []

  constructor(script: Script) {
    this.script = script
    this.dialect = script.dialect ?? TEXT
  }

  /** The reply to the step from `index` on, as far as it has come. */
  note(index: number, reply: string): void {
    this.#raw[index] = withoutMark(reply, this.dialect)
    const normalise = this.createNormaliser()
    this.replies = this.#raw.map(raw => normalise(raw))
  }

  /** The step with the CAS numbers that it stands for. */
  fill(step: Step): string {
    const normalise = this.createNormaliser()
    for (const raw of this.#raw) normalise(raw)
    return this.dialect.fill(step, normalise)
  }

  /** Whether the other one got the same as this one, and perhaps more. */
  isAs({ replies, state }: Course): boolean {
    const isFurther = replies.length > this.replies.length
    const isEqual = this.replies.every((reply, index) => reply === replies[index])
    return isEqual && (isFurther || state === this.state)
  }

  createNormaliser(): Normaliser {
    return this.dialect.createNormaliser(this.script.withoutPadding)
  }
}

/** A raw step has its reply once it is quiet and `isSettled`. */
async function runCourse(port: number, course: Course, isSettled: () => boolean): Promise<void> {
  const wire = await Wire.connect(port)
  try {
    for (const [index, step] of course.script.steps.entries()) {
      if (course.state !== 'open') break
      const look = () => {
        course.note(index, wire.peek().toString('latin1'))
        return isSettled()
      }
      const end = await runStep(wire, course.fill(step), course, look)
      course.note(index, wire.take().toString('latin1'))
      course.state = end === 'closed' || wire.closed ? 'closed' : end === 'found' ? 'open' : 'stuck'
    }
  } finally {
    wire.close()
  }
}

export function difference(
  oracle: Outcome,
  daemon: Outcome,
  closeLosesReplies = false,
): Difference | undefined {
  const stepCount = Math.max(oracle.replies.length, daemon.replies.length)
  for (let step = 0; step < stepCount; step++) {
    const [left, right] = [oracle.replies[step], daemon.replies[step]]
    if (left === right) continue
    const bothClosed = oracle.state === 'closed' && daemon.state === 'closed'
    const wasLast = step === stepCount - 1 && left !== undefined && right !== undefined
    if (closeLosesReplies && bothClosed && wasLast && right.startsWith(left)) continue
    const texts = around(left, right)
    return {
      step,
      oracle: `${texts.oracle}, then ${oracle.state}`,
      daemon: `${texts.daemon}, then ${daemon.state}`,
    }
  }
  if (oracle.state === daemon.state) return undefined
  return { step: stepCount - 1, oracle: oracle.state, daemon: daemon.state }
}

export function describe(found: Difference): string {
  return `step ${found.step}\n  memcached: ${found.oracle}\n  memslab:   ${found.daemon}`
}

/** Bytes as one printable line, shortened in the middle. */
export function printable(text: string, charsMax = SHOWN_CHARS_MAX): string {
  const half = charsMax >> 1
  const short =
    text.length <= charsMax
      ? text
      : `${text.slice(0, half)}[.. ${text.length} in all ..]${text.slice(-half)}`
  return JSON.stringify(short)
}

async function warmUp(port: number): Promise<void> {
  const wires = await Promise.all(
    Array.from({ length: WARM_UP_CONNECTIONS }, () => Wire.connect(port)),
  )
  for (const wire of wires) wire.send(Buffer.from('version\r\n'))
  await Promise.all(wires.map(wire => wire.readUntil(Buffer.from('\r\n'), WARM_UP_MS_MAX)))
  for (const wire of wires) wire.close()
}

async function runStep(
  wire: Wire,
  step: string,
  { script, dialect }: Course,
  look: () => boolean,
): Promise<ReadEnd> {
  const bytes = Buffer.from(script.raw ? step : step + dialect.mark, 'latin1')
  await wire.sendCut(bytes, cutsOf(script, bytes.length), script.everyByte ? 0 : 1)
  if (!script.raw) return wire.readUntil(Buffer.from(dialect.markReplyEnd, 'latin1'), REPLY_MS_MAX)
  const end = await wire.readUntilQuietAnd(look, script.quietMs ?? RAW_QUIET_MS)
  return end === 'quiet' ? 'found' : end
}

function cutsOf(script: Script, length: number): number[] {
  if (script.everyByte) return Array.from({ length: length - 1 }, (_, index) => index + 1)
  return (script.cuts ?? []).map(fraction => Math.floor(fraction * length)).sort((a, b) => a - b)
}

function withoutMark(reply: string, { markReply }: Dialect): string {
  return reply.endsWith(markReply) ? reply.slice(0, -markReply.length) : reply
}

/** Both texts from shortly before the first difference. */
function around(left: string | undefined, right: string | undefined) {
  if (left === undefined || right === undefined) {
    return { oracle: printable(left ?? 'no reply'), daemon: printable(right ?? 'no reply') }
  }
  let same = 0
  while (same < left.length && left[same] === right[same]) same++
  const start = Math.max(0, same - 80)
  const prefix = start > 0 ? `[${start} equal bytes ..] ` : ''
  return {
    oracle: prefix + printable(left.slice(start)),
    daemon: prefix + printable(right.slice(start)),
  }
}
