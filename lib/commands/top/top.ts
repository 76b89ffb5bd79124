// `memslab top HOST:PORT...`: rates, hit ratio, memory and the hottest keys of servers, memslab or
// memcached, once a second in a terminal, or once as a table or JSON.

import { setTimeout as sleep } from 'node:timers/promises'
import { Misused, readArguments, runCommand } from '../command-line.ts'
import { REPORTS, type Sample, sampleOf } from '../servers/sample.ts'
import { StatsLink } from '../servers/stats-link.ts'
import {
  ACCESS_SWITCHES,
  ACCESS_USAGE,
  accessOf,
  serversOf,
  type Watched,
} from '../servers/watch-switches.ts'
import { type Measures, measure, unmeasured } from './measures.ts'
import { picture } from './picture.ts'
import { Screen } from './screen.ts'

/** Seconds between two samples. */
const EVERY_S = 1
const EVERY_S_MIN = 0.1
const EVERY_S_MAX = 3600
/** Of the table of --once where no terminal says its width. */
const WIDTH = 160
const HEIGHT = 10_000

const USAGE = `usage: memslab top HOST:PORT...
shows rates, hit ratio, memory, evictions, connections and the hottest keys of servers,
memslab or memcached
  --every <num>    seconds between two samples (default: ${EVERY_S})
  --once           print one table and exit: 1 if a server does not answer
  --json           with --once, JSON instead of a table
${ACCESS_USAGE}`

/** A server that is watched, with its last sample. */
interface Subject {
  name: string
  link: StatsLink
  before: Sample | undefined
}

/** Returns the exit code. */
export function runTop(words: readonly string[]): Promise<number> {
  return runCommand(USAGE, words, async () => {
    const parsed = await readArguments(words, {
      ...ACCESS_SWITCHES,
      every: { type: 'number', default: EVERY_S, requiresArg: true },
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    })
    const everyMs = 1000 * parsed.number('every')
    if (everyMs < 1000 * EVERY_S_MIN || everyMs > 1000 * EVERY_S_MAX) {
      throw new Misused(`--every takes seconds from ${EVERY_S_MIN} to ${EVERY_S_MAX}`)
    }
    const [once, json] = [parsed.flag('once'), parsed.flag('json')]
    if (json && !once) throw new Misused('--json needs --once')
    const access = accessOf(parsed)
    const subjects = serversOf(parsed).map(
      ({ name, node }: Watched): Subject => ({
        name,
        link: new StatsLink(node, access),
        before: undefined,
      }),
    )
    try {
      if (once) return await printOnce(subjects, everyMs, json)
      if (!process.stdin.isTTY || !process.stdout.isTTY) {
        throw new Misused('this is no terminal: use --once')
      }
      await watch(subjects, everyMs)
      return 0
    } finally {
      for (const { link } of subjects) link.close()
    }
  })
}

async function printOnce(subjects: Subject[], everyMs: number, json: boolean): Promise<number> {
  await Promise.all(subjects.map(look))
  await sleep(everyMs)
  const measures = await Promise.all(subjects.map(look))
  const choices = { sort: 0, reversed: false, filter: '', selected: -1 }
  const text = json
    ? JSON.stringify(measures, undefined, 2)
    : picture(measures, choices, process.stdout.columns || WIDTH, HEIGHT).join('\n')
  process.stdout.write(`${text}\n`)
  return measures.every(({ fault }) => fault === null) ? 0 : 1
}

async function watch(subjects: Subject[], everyMs: number): Promise<void> {
  const screen = new Screen()
  const over = new AbortController()
  void screen.quit.then(() => over.abort())
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => over.abort())
  screen.open()
  try {
    while (!over.signal.aborted) {
      screen.show(await Promise.all(subjects.map(look)))
      await sleep(everyMs, undefined, { signal: over.signal }).catch(() => {})
    }
  } finally {
    screen.close()
  }
}

async function look(subject: Subject): Promise<Measures> {
  const { name, link, before } = subject
  try {
    const reports = await link.ask(REPORTS)
    const now = sampleOf(reports, performance.now())
    subject.before = now
    return measure(name, before, now)
  } catch (error) {
    subject.before = undefined
    return unmeasured(name, error instanceof Error ? error.message : String(error))
  }
}
