// Log buffers: lines are read in order, complete or not at all, and overwritten lines are counted.
// Against a plain list in one thread, and with a writer in another thread that never pauses.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { KIB } from '../../lib/bytes/units.ts'
import {
  CODES,
  createLogs,
  LOG_BLOCK_BYTES,
  RECORD_BYTES_MAX,
  RingReader,
  RingWriter,
  SIZE,
  TYPE,
} from '../../lib/observe/log-buffer.ts'
import { announceSeed, createRandom } from '../support/prng.ts'

const seed = announceSeed(t)
const RING_BYTES = 16 * KIB
const STEPS = 20_000
const FLOOD_MS = 1500
const WRITER = new URL('../support/log-writer.ts', import.meta.url)

interface Line {
  type: number
  size: number
  text: string
}

t.test('lines are read as written, and missing ones are counted', async t => {
  const random = createRandom(seed, 1)
  const logs = createLogs(2, RING_BYTES)
  let writer = new RingWriter(logs, 1)
  const reader = new RingReader(logs, 1)
  const written: Line[] = []
  let next = 0
  let lost = 0
  let readAt = 0
  for (let step = 0; step < STEPS; step++) {
    if (random.once(500)) writer = new RingWriter(logs, 1)
    const type = random.between(1, 6)
    const text = 'k'.repeat(random.below(251))
    written.push({ type, size: step, text })
    write(writer, type, step, text)
    // Mostly close behind the writer, at times so late that the buffer has wrapped.
    if (step < readAt) continue
    readAt = step + random.pick([1, 1, 2, 3, 10, 40, 400])
    while (reader.read()) {
      next += reader.lost
      lost += reader.lost
      reader.lost = 0
      const line = lineOf(reader)
      if (line.size !== next || JSON.stringify(line) !== JSON.stringify(written[next])) {
        t.same(line, written[next], `line ${next}`)
        return
      }
      next++
    }
    if (next !== written.length) t.fail(`stands at ${next} of ${written.length}`)
  }
  t.ok(lost > 100 && next - lost > STEPS / 10, `${next - lost} lines read, ${lost} lost`)
})

t.test('a reader begins at the end, and each has its own position', async t => {
  const logs = createLogs(1, RING_BYTES)
  const writer = new RingWriter(logs, 0)
  write(writer, 1, 1, 'before')
  const [first, second] = [new RingReader(logs, 0), new RingReader(logs, 0)]
  t.notOk(first.read())
  write(writer, 1, 2, 'after')
  t.ok(first.read())
  t.same(lineOf(first), { type: 1, size: 2, text: 'after' })
  t.notOk(first.read())
  t.ok(second.read())
  t.equal(first.lost + second.lost, 0)
})

t.test('numbers increase over all buffers', async t => {
  const logs = createLogs(2, RING_BYTES)
  const writers = [new RingWriter(logs, 0), new RingWriter(logs, 1)]
  const readers = [new RingReader(logs, 0), new RingReader(logs, 1)]
  for (const writer of [...writers, ...writers]) write(writer, 1, 0, 'x')
  const numbers = readers.map(reader => [
    reader.read(),
    reader.number,
    reader.read(),
    reader.number,
  ])
  t.same(
    numbers,
    [
      [true, 3, true, 3],
      [true, 4, true, 4],
    ].map(([a, b, c], i) => [a, i + 1, c, b]),
  )
})

t.test('after a writer died within a record another continues', async t => {
  const logs = createLogs(1, RING_BYTES)
  const reader = new RingReader(logs, 0)
  const dead = new RingWriter(logs, 0)
  write(dead, 1, 1, 'whole')
  dead.begin(2, 0, 100)
  const heir = new RingWriter(logs, 0)
  write(heir, 3, 3, 'heir')
  t.ok(reader.read())
  t.equal(lineOf(reader).text, 'whole')
  t.ok(reader.read())
  t.same(lineOf(reader), { type: 3, size: 3, text: 'heir' })
  t.notOk(reader.read())
})

t.test('with a writer that never pauses a reader sees complete lines only', async t => {
  const logs = createLogs(1, RING_BYTES)
  const worker = new Worker(WRITER, { workerData: logs, execArgv: [] })
  t.teardown(() => worker.terminate())
  await once(worker, 'message')
  const reader = new RingReader(logs, 0)
  const endMs = performance.now() + FLOOD_MS
  let seen = 0
  let lost = 0
  while (performance.now() < endMs) {
    for (let i = 0; i < 200 && reader.read(); i++) {
      seen++
      const { size, text } = lineOf(reader)
      if (text !== String(size % 10).repeat(size % 251)) t.fail(`torn: ${size} ${text}`)
    }
    lost += reader.lost
    reader.lost = 0
    if (seen % 3 === 0) await sleep(1)
  }
  t.ok(seen > 100, `${seen} lines seen`)
  t.ok(lost > 100, `${lost} lines lost`)
})

t.test('the longest record fits into a block several times', async t => {
  t.ok(RECORD_BYTES_MAX * 4 <= LOG_BLOCK_BYTES)
})

function write(writer: RingWriter, type: number, size: number, text: string): void {
  writer.begin(type, 0, text.length)
  writer.words[writer.at + SIZE] = size
  writer.area.bytes.write(text, writer.textAt, 'latin1')
  writer.end()
}

function lineOf({ words, area, textAt }: RingReader): Line {
  const text = area.bytes.toString('latin1', textAt, textAt + (words[CODES] >>> 24))
  return { type: words[TYPE], size: words[SIZE], text }
}
