// The cases as data: what load each one is. A request is one command: a get of 100 keys is one
// request. Every key is stored before the first get, and the servers have memory for all of them,
// so every get hits and nothing is evicted.

export interface Case {
  name: string
  what: string
  connections: number
  // Requests that one connection has on the wire at once: it sends so many in one write, and
  // sends the next lot when the last reply is complete.
  depth: number
  valueBytes: number
  keyBytes: number
  keyCount: number
  spread: 'uniform' | 'zipf'
  // The ratio: so many gets, then so many sets.
  gets: number
  sets: number
  keysPerGet: number
}

const USUAL = {
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

export const CASES: readonly Case[] = [
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

export const SCALE_CASE_NAMES = ['mix-d1', 'mix-d16']

// Those of this exact name; where there is none, those whose name contains the word.
export function selectCases(words: readonly string[]): Case[] {
  if (words.length === 0) return [...CASES]
  const names = new Set<string>()
  for (const word of words) {
    const exact = CASES.filter(({ name }) => name === word)
    const found = exact.length > 0 ? exact : CASES.filter(({ name }) => name.includes(word))
    if (found.length === 0) throw new Error(`no case matches '${word}' (see --list)`)
    for (const { name } of found) names.add(name)
  }
  return CASES.filter(({ name }) => names.has(name))
}

export function describeCase(load: Case): string {
  const { gets, sets, keysPerGet, valueBytes, connections, depth, keyCount, spread } = load
  const kinds = sets === 0 ? 'gets only' : gets === 0 ? 'sets only' : `${gets}:${sets} get:set`
  const keys = keysPerGet === 1 ? kinds : `${kinds} of ${keysPerGet} keys`
  const size = valueBytes < KIB ? `${valueBytes} B` : `${valueBytes / KIB} KiB`
  const count = keyCount.toLocaleString('en')
  return (
    `${keys}, ${size} values, ${connections} connections, ${depth} deep, ` +
    `${count} keys ${spread}`
  )
}
