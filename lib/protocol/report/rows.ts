// The parts of the reports of `stats`: rows, and sums over the arenas. Numbers are read without the
// arenas' locks: each is right, but they are not all of one instant.

import type { Arena } from '../../engine/arena/arena.ts'
import { classCounterAt, counterAt } from '../../engine/arena/counters.ts'
import type { Host } from '../host.ts'

export class Lines {
  readonly rows: [name: string, value: string | number][] = []

  add(name: string, value: string | number): void {
    this.rows.push([name, value])
  }

  zeros(names: string): void {
    for (const name of names.split(' ')) this.add(name, 0)
  }

  end(): string {
    return `${this.rows.map(([name, value]) => `STAT ${name} ${value}\r\n`).join('')}END\r\n`
  }
}

/** Sums over all arenas, by counter or word. */
export class Sums {
  private readonly arenas: Arena[]

  constructor(host: Host) {
    this.arenas = host.cache.shards.map(shard => shard.arena)
  }

  counter(counter: number): number {
    return this.over(arena => arena.counters[counterAt(counter)])
  }

  ofClass(classId: number, counter: number): number {
    return this.over(arena => arena.counters[classCounterAt(classId, counter)])
  }

  classes(counter: number): number {
    let sum = 0
    for (let id = 1; id <= this.classCount(); id++) sum += this.ofClass(id, counter)
    return sum
  }

  classCount(): number {
    return this.arenas[0].classCount
  }

  word(at: number): number {
    return this.over(arena => arena.words[at])
  }

  over(read: (arena: Arena) => number): number {
    return this.arenas.reduce((sum, arena) => sum + read(arena), 0)
  }

  max(read: (arena: Arena) => number): number {
    return Math.max(...this.arenas.map(read))
  }

  /** 1 if it is true of any arena, else 0. */
  any(is: (arena: Arena) => boolean): number {
    return this.arenas.some(is) ? 1 : 0
  }
}
