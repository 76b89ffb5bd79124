// The cases as data: the load of each. A request is one command, so a get of 100 keys is one
// request. Every key is stored before the first get and the servers have memory for all keys: every
// get hits and nothing is evicted.

import type { Protocol } from './dialects.ts'

export interface Case {
  name: string
  what: string
  protocol: Protocol
  tls: boolean
  // An open loop: requests come at random times, whether or not the last was answered, at this
  // share of the rate that keeps the baseline 100 % busy. Undefined: a closed loop.
  pace: number | undefined
  // Compares the candidate with this number of threads to itself with one thread.
  threads: number | undefined
  connections: number
  // Pipelined requests of one connection. It sends them in one write, and the next batch once the
  // last reply is complete.
  depth: number
  valueBytes: number
  keyBytes: number
  keyCount: number
  spread: 'uniform' | 'zipf'
  // The mix: this number of gets, then this number of sets, repeated.
  gets: number
  sets: number
  keysPerGet: number
}

const USUAL = {
  protocol: 'text',
  tls: false,
  pace: undefined,
  threads: undefined,
  connections: 50,
  depth: 1,
  valueBytes: 32,
  keyBytes: 16,
  keyCount: 100_000,
  spread: 'uniform',
  gets: 10,
  sets: 1,
  keysPerGet: 1,
} as const

const KIB = 1024

const TEXT_CASES: readonly Case[] = [
  { ...USUAL, name: 'mix-d1', what: 'mix, no pipelining' },
  { ...USUAL, name: 'get-d1', what: 'gets, no pipelining', sets: 0 },
  { ...USUAL, name: 'mix-c800', what: 'mix, 800 connections', connections: 800 },
  { ...USUAL, name: 'mix-d16', what: 'mix, 16 deep', depth: 16 },
  { ...USUAL, name: 'mix-d64', what: 'mix, 64 deep', depth: 64 },
  { ...USUAL, name: 'get-d64', what: 'gets, 64 deep', depth: 64, sets: 0 },
  { ...USUAL, name: 'zipf-d16', what: 'mix, 16 deep, few hot keys', depth: 16, spread: 'zipf' },
  { ...USUAL, name: 'multiget', what: 'gets of 100 keys each', sets: 0, keysPerGet: 100 },
  { ...USUAL, name: 'set-d16', what: 'sets, 16 deep', depth: 16, gets: 0 },
  { ...USUAL, name: 'mix-1k', what: 'mix, 1 KiB values', valueBytes: KIB, keyCount: 20_000 },
  { ...USUAL, name: 'mix-16k', what: 'mix, 16 KiB values', valueBytes: 16 * KIB, keyCount: 4000 },
  {
    ...USUAL,
    name: 'mix-200k',
    what: 'gets and sets 1:1, 200 KiB values',
    connections: 4,
    valueBytes: 200 * KIB,
    keyCount: 400,
    gets: 1,
  },
]

// The text cases that the other protocols repeat.
const REPEATED = ['mix-d1', 'mix-d16', 'get-d64', 'multiget', 'set-d16']

export const CASES: readonly Case[] = [
  ...TEXT_CASES,
  ...variants(REPEATED, 'meta', 'meta commands', { protocol: 'meta' }),
  ...variants(REPEATED, 'binary', 'binary protocol', { protocol: 'binary' }),
  ...variants(['mix-d1', 'mix-d16'], 'tls', 'TLS', { tls: true }),
  ...variants(['mix-d1'], 'paced', 'half of the rate that saturates the baseline', { pace: 0.5 }),
  ...[2, 4].flatMap(threads =>
    variants(['mix-d1', 'mix-d16'], `t${threads}`, `-t ${threads} against -t 1`, { threads }),
  ),
]

export const SCALE_CASES = CASES.filter(({ threads }) => threads !== undefined)

function variants(names: readonly string[], prefix: string, what: string, other: Partial<Case>) {
  return TEXT_CASES.filter(({ name }) => names.includes(name)).map(load => ({
    ...load,
    ...other,
    name: `${prefix}-${load.name}`,
    what: `${load.what}, ${what}`,
  }))
}

// For each word the case of this name, else all cases whose name contains it. No words: all cases.
export function selectCases(words: readonly string[]): Case[] {
  if (words.length === 0) return [...CASES]
  const names = new Set<string>()
  for (const word of words) {
    const exact = CASES.filter(({ name }) => name === word)
    const found = exact.length > 0 ? exact : CASES.filter(({ name }) => name.includes(word))
    if (found.length === 0) throw new Error(`no case matches '${word}': --list prints them`)
    for (const { name } of found) names.add(name)
  }
  return CASES.filter(({ name }) => names.has(name))
}

export function describeCase(load: Case, ratePerS?: number): string {
  const { gets, sets, keysPerGet, valueBytes, connections, depth, keyCount, spread } = load
  const kinds = sets === 0 ? 'gets only' : gets === 0 ? 'sets only' : `${gets}:${sets} get:set`
  const keys = keysPerGet === 1 ? kinds : `${kinds} of ${keysPerGet} keys`
  const size = valueBytes < KIB ? `${valueBytes} B` : `${valueBytes / KIB} KiB`
  const count = keyCount.toLocaleString('en')
  const shape =
    `${keys}, ${size} values, ${connections} connections, ${depth} deep, ` +
    `${count} keys ${spread}, ${load.protocol}${load.tls ? ' over TLS' : ''}`
  if (ratePerS === undefined) return shape
  return `${shape}, ${Math.round(ratePerS)} requests/s at random times`
}
