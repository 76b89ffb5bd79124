// The share of the keys that is sampled: it falls while there are too many, and rises again.

import t from 'tap'
import { Area } from '../../../lib/bytes/area.ts'
import { MIB } from '../../../lib/bytes/units.ts'
import { CLOCK_S } from '../../../lib/engine/arena/layout.ts'
import { Mode, Status } from '../../../lib/engine/status.ts'
import { Ask } from '../../../lib/engine/storing/ask.ts'
import { Evaluator } from '../../../lib/observe/miniature/evaluator.ts'
import { createInsight, InsightBoard } from '../../../lib/observe/miniature/insight.ts'
import { createSamples, Sampler } from '../../../lib/observe/miniature/key-sampler.ts'
import { fixedCache } from '../../../scripts/bench/fixed-cache.ts'

const VALUE_BYTES = 40
const KEY_BYTES = 10
/** Fewer than fill the buffer of samples. */
const ASKS_A_STEP = 2000
/** Longer than the share stays as it is. */
const WHILE_S = 130

/** A cache whose keys are sampled, and a clock that the test moves. */
class Sampled {
  readonly #cache = fixedCache({ memoryBytes: 32 * MIB })
  readonly #samples = createSamples(true, 1, ':')
  readonly #insight = createInsight(true)
  readonly #sampler = new Sampler(this.#samples)
  readonly #evaluator = new Evaluator(this.#samples, this.#insight, this.#cache)
  readonly #ask = new Ask(new Area(Buffer.alloc(KEY_BYTES)))
  readonly #value = new Area(Buffer.alloc(VALUE_BYTES))

  storeAll(keys: number): void {
    this.#each(keys, shard => {
      this.#ask.mode = Mode.SET
      this.#ask.valueBytes = VALUE_BYTES
      if (shard.store(this.#ask, this.#value, 0) !== Status.OK) throw new Error('not stored')
      if (this.#sampler.takes(this.#ask.hash)) this.#sampler.stored(shard, this.#ask, true)
    })
  }

  /** Gets keys, which all hit. */
  getAll(keys: number): void {
    this.#each(keys, shard => {
      if (shard.get(this.#ask, { accept: () => Status.OK }) !== Status.OK) throw new Error('missed')
      if (this.#sampler.takes(this.#ask.hash)) this.#sampler.hit(shard, this.#ask)
    })
  }

  removeFrom(first: number, keys: number): void {
    this.#each(
      keys,
      shard => {
        if (shard.remove(this.#ask) !== Status.OK) throw new Error('not removed')
        if (this.#sampler.takes(this.#ask.hash)) this.#sampler.removed(shard, this.#ask)
      },
      first,
    )
  }

  pass(seconds: number): void {
    this.#cache.shards[0].arena.words[CLOCK_S] += seconds
    this.#evaluator.step()
  }

  get curve() {
    const curve = new InsightBoard(this.#insight).read()?.curve
    if (curve === undefined) throw new Error('nothing is published')
    return curve
  }

  #each(end: number, act: (shard: ReturnType<typeof this.shardOf>) => void, first = 0): void {
    const ask = this.#ask
    for (let id = first; id < end; id++) {
      if (id % ASKS_A_STEP === 0) this.pass(1)
      ask.area.bytes.write(String(id).padStart(KEY_BYTES, '0'), 0, 'latin1')
      ask.setKey(ask.area, 0, KEY_BYTES, this.#cache.hash(ask.area, 0, KEY_BYTES))
      act(this.shardOf())
    }
    this.pass(1)
  }

  shardOf() {
    return this.#cache.shardOf(this.#ask.hash)
  }
}

t.test('it falls with more keys than there are entries, and rises when they are gone', async t => {
  const sampled = new Sampled()
  sampled.storeAll(10_000)
  const first = sampled.curve.sampledShare
  sampled.storeAll(150_000)
  const least = sampled.curve.sampledShare
  t.ok(least < first * 0.6, `${least} of ${first}`)
  sampled.pass(WHILE_S)
  t.equal(sampled.curve.sampledShare, least, 'as long as there are so many keys')
  sampled.removeFrom(10_000, 150_000)
  const shares = [least]
  for (let round = 0; round < 20; round++) {
    sampled.getAll(10_000)
    sampled.pass(WHILE_S)
    shares.push(sampled.curve.sampledShare)
  }
  t.same(
    shares,
    shares.toSorted((a, b) => a - b),
    'it rises',
  )
  t.ok(shares[1] < least * 1.5, 'in small steps')
  t.equal(shares.at(-1), first, 'to what it was')
  t.equal(sampled.curve.lost, 0)
  const half = sampled.curve.points.find(({ memory }) => memory === 0.5)
  t.equal(half?.missRatio, 0, 'what is sampled from now on was no miss before')
})
