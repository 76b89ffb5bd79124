import t from 'tap'
import {
  compare,
  type Difference,
  describe,
  type Pair,
  startPair,
} from '../support/differential.ts'
import { skipWithout } from '../support/oracle.ts'
import { onTime } from '../support/timetable.ts'

const FIRST_LOOK_MS = 2_400
const LAST_LOOK_MS = 5_600
const QUIET_MS = 500

interface Timeline {
  readonly name: string
  /** Sent at the start; the replies are compared as well. */
  readonly begin: string
  readonly first: string
  readonly last: string
}

// Made when they begin: some have dates.
const expiries = (): Timeline[] => [
  timeline('exptime of set', key => `set ${key} 0 2 1\r\na\r\n`),
  timeline('a later exptime of set', key => `set ${key} 0 4 1\r\na\r\n`),
  timeline('exptime of add', key => `add ${key} 0 2 1\r\na\r\n`),
  timeline('exptime of replace', key => `set ${key} 0 0 1\r\na\r\nreplace ${key} 0 2 1\r\nb\r\n`),
  timeline('exptime that replace takes away', key => {
    return `set ${key} 0 2 1\r\na\r\nreplace ${key} 0 0 1\r\nb\r\n`
  }),
  timeline('append keeps the exptime', key => {
    return `set ${key} 0 2 1\r\na\r\nappend ${key} 0 0 1\r\nb\r\n`
  }),
  timeline('append brings no exptime', key => {
    return `set ${key} 0 0 1\r\na\r\nappend ${key} 0 2 1\r\nb\r\n`
  }),
  timeline('incr keeps the exptime', key => `set ${key} 0 2 1\r\n1\r\nincr ${key} 1\r\n`),
  timeline('incr to more digits keeps it', key => `set ${key} 0 2 1\r\n9\r\nincr ${key} 1\r\n`),
  timeline('touch shortens', key => `set ${key} 0 100 1\r\na\r\ntouch ${key} 2\r\n`),
  timeline('touch lengthens', key => `set ${key} 0 2 1\r\na\r\ntouch ${key} 100\r\n`),
  timeline('touch takes the exptime away', key => `set ${key} 0 2 1\r\na\r\ntouch ${key} 0\r\n`),
  timeline('gat shortens', key => `set ${key} 0 0 1\r\na\r\ngat 2 ${key}\r\n`),
  timeline('gats lengthens', key => `set ${key} 0 2 1\r\na\r\ngats 100 ${key}\r\n`),
  timeline('a date three seconds ahead', key => `set ${key} 0 ${nowS() + 3} 1\r\na\r\n`, false),
  timeline('a date an hour ahead', key => `set ${key} 0 ${nowS() + 3600} 1\r\na\r\n`),
  timeline('a date an hour ago', key => `set ${key} 0 ${nowS() - 3600} 1\r\na\r\n`),
  timeline('touch to a date ahead', key => {
    return `set ${key} 0 2 1\r\na\r\ntouch ${key} ${nowS() + 3600}\r\n`
  }),
  timeline('add behind an expiry', key => `set ${key} 0 -1 1\r\na\r\nadd ${key} 0 100 1\r\nb\r\n`),
]

// A delay of n takes effect at the (n-1)th tick, and items stored before that are flushed too.
const FLUSHES: Timeline[] = [
  {
    name: 'flush_all with a delay of 3 hides nothing yet',
    begin: 'set k 0 0 1\r\na\r\nflush_all 3\r\nget k\r\n',
    first: 'get k\r\n',
    last: 'get k\r\nset k 0 0 1\r\nb\r\nget k\r\n',
  },
  {
    name: 'a delay of 6 is not there after two seconds',
    begin: 'set a 0 0 1\r\na\r\nflush_all 6\r\nget a\r\n',
    first: 'get a\r\nset b 0 0 1\r\nb\r\nget b\r\n',
    last: 'get a b\r\n',
  },
  {
    name: 'flush_all 1 hides at once',
    begin: 'set k 0 0 1\r\na\r\nflush_all 1\r\nget k\r\n',
    first: 'get k\r\nset k 0 0 1\r\nb\r\nget k\r\n',
    last: 'get k\r\n',
  },
  {
    name: 'a second flush_all undoes the delay of the first',
    begin: 'set a 0 0 1\r\na\r\nflush_all 3\r\nflush_all\r\nset k 0 0 1\r\nb\r\nget a k\r\n',
    first: 'get a k\r\n',
    last: 'get a k\r\n',
  },
  {
    name: 'a flush_all with a date in the past',
    begin: 'set k 0 0 1\r\na\r\nflush_all 2592001\r\nget k\r\n',
    first: 'get k\r\n',
    last: 'get k\r\n',
  },
]

t.test('items expire alike', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t)
  await runTogether(t, expiries, () => pair, false)
})

t.test('flushes come alike', { skip: skipWithout('memcached') }, async t => {
  const pairs = await Promise.all(FLUSHES.map(() => startPair(t)))
  // Raw: a flush would remove the mark after each step too.
  await runTogether(
    t,
    () => FLUSHES,
    index => pairs[index],
    true,
  )
})

/** All timelines side by side: begin, a wait, the first check, another wait, the last check. */
async function runTogether(
  t: { equal(found: unknown, wanted: unknown, name: string): unknown },
  make: () => readonly Timeline[],
  pairOf: (index: number) => Pair,
  raw: boolean,
): Promise<void> {
  type Part = 'begin' | 'first' | 'last'
  const look = (timelines: readonly Timeline[], part: Part) => {
    const compareOne = async (line: Timeline, index: number) => {
      const script = { steps: [line[part]], raw, quietMs: QUIET_MS }
      return [`${line.name}: ${part}`, await compare(pairOf(index), script)] as const
    }
    return Promise.all(timelines.map(compareOne))
  }
  const found = await onTime(
    async timetable => {
      const timelines = make()
      const found: (readonly [name: string, difference: Difference | undefined])[] = []
      await timetable.at(0, async () => found.push(...(await look(timelines, 'begin'))))
      await timetable.at(FIRST_LOOK_MS, async () => found.push(...(await look(timelines, 'first'))))
      await timetable.at(LAST_LOOK_MS, async () => found.push(...(await look(timelines, 'last'))))
      return found
    },
    raw ? QUIET_MS : 0,
  )
  for (const [name, difference] of found) {
    t.equal(difference === undefined ? undefined : describe(difference), undefined, name)
  }
}

function timeline(name: string, begin: (key: string) => string, firstLook = true): Timeline {
  const key = name.replaceAll(' ', '-')
  const get = `get ${key}\r\n`
  return { name, begin: begin(key) + get, first: firstLook ? get : '', last: get }
}

function nowS(): number {
  return Math.floor(Date.now() / 1000)
}
