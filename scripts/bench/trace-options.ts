// What the benchmarks that replay traces let their users choose, and the traces that they chose.

import { MIB } from '../../lib/bytes/units.ts'
import { markdownTable, plainTable } from './report.ts'
import { generatedTraces, type Trace } from './traces.ts'

/** For yargs. */
export const TRACE_OPTIONS = {
  memory: { type: 'number', default: 64, describe: 'Memory of a cache, MiB (-m)' },
  accesses: { type: 'number', default: 2_000_000, describe: 'Length of a generated trace' },
  threads: { type: 'number', default: 4, describe: 'Threads of a server, or arenas (-t)' },
  only: { type: 'string', describe: 'Only traces whose name has this in it' },
  markdown: { type: 'boolean', describe: 'Print the table in Markdown' },
  seed: { type: 'number', default: 1, describe: 'Of the traces' },
} as const

interface Chosen {
  memory: number
  accesses: number
  only?: string
  seed: number
}

/** The generated traces for caches of that memory. */
export function chosenTraces({ memory, accesses, only = '', seed }: Chosen): Trace[] {
  const traces = generatedTraces(accesses, memory * MIB, seed)
  return traces.filter(({ name }) => name.includes(only))
}

/** Rows of cells, the first one the head, as text. */
export function tableOf(rows: string[][], { markdown }: { markdown?: boolean }): string {
  return markdown === true ? markdownTable(rows) : plainTable(rows)
}
