// Prints: a table for each case, then one of all cases, in plain text or Markdown. All ratios are
// above 1 where the candidate is better. Measures nothing.

import type { Comparison, Sample } from './rounds.ts'

export interface Spread {
  median: number
  min: number
  max: number
}

type Row = readonly string[]

const CASE_HEAD = [
  'server',
  'req/s',
  'p50 us',
  'p99 us',
  'p99.9 us',
  'longest us',
  'server us/req',
  'load us/req',
  'server busy',
]

// Share of a pace's rate that must be reached: a busy machine does not keep up.
const PACE_KEPT_MIN = 0.95

const SUMMARY_HEAD = [
  'case',
  'load',
  'baseline / candidate',
  'us/req',
  'cpu',
  'req/s',
  'rate',
  'baseline p50/p99/p99.9/longest us',
  'candidate p50/p99/p99.9/longest us',
]

export function cpuRatio({ baseline, candidate }: Comparison): Spread {
  return spreadOf(baseline.map((sample, i) => sample.serverUs / candidate[i].serverUs))
}

export function rateRatio({ baseline, candidate }: Comparison): Spread {
  return spreadOf(candidate.map((sample, i) => sample.requestsPerS / baseline[i].requestsPerS))
}

/** The baseline's percentile divided by the candidate's. */
function latencyRatio({ baseline, candidate }: Comparison, field: keyof Sample): Spread {
  return spreadOf(baseline.map((sample, i) => sample[field] / candidate[i][field]))
}

export function caseReport(comparison: Comparison): string {
  const { name, what, load, baselineName, candidateName } = comparison
  const rows = [
    CASE_HEAD,
    sampleRow(baselineName, comparison.baseline),
    sampleRow(candidateName, comparison.candidate),
  ]
  const ratios = [
    ['server us/req', cpuRatio(comparison)],
    ['p99', latencyRatio(comparison, 'p99Us')],
    ['p99.9', latencyRatio(comparison, 'p999Us')],
  ] as const
  return [
    `${name}: ${what} (${load})`,
    plainTable(rows),
    ...ratios.map(
      ([of, ratio]) =>
        `  ${`${of},`.padEnd(14)} ${baselineName} / ${candidateName}: ${spreadText(ratio)}`,
    ),
    `  req/s,         ${candidateName} / ${baselineName}: ${spreadText(rateRatio(comparison))}`,
  ].join('\n')
}

export function summary(comparisons: readonly Comparison[], isMarkdown: boolean): string {
  const rows = [SUMMARY_HEAD, ...comparisons.map(summaryRow)]
  // The load is too long for a column on a terminal: there it is above each case's own table.
  return isMarkdown ? markdownTable(rows) : plainTable(rows.map(row => row.toSpliced(1, 1)))
}

export function legend(comparisons: readonly Comparison[]): string {
  const versions = comparisons.flatMap(({ baselineName, candidateName, versions }) => [
    `${baselineName} ${versions[0]}`,
    `${candidateName} ${versions[1]}`,
  ])
  return [
    `Versions: ${[...new Set(versions)].join(', ')}.`,
    'cpu: server CPU per request, baseline / candidate. rate: requests per second, candidate /',
    'baseline. Above 1 the candidate is better. Medians of the rounds (min..max).',
    'A request is one command, whatever its number of keys. Latency is that of a batch: from the',
    "write of a connection's pipelined requests (in a paced case from when they were due) to the",
    'last byte of their replies.',
    'Compare the ratios, not the figures: those depend on the machine and on what else it does.',
    'Where the server is not near 100 % busy, the load process bounds the requests per second.',
  ].join('\n')
}

// One line if the load process or a server did not keep the pace, else undefined.
export function paceFault({ name, paceRate, baseline, candidate }: Comparison): string | undefined {
  if (paceRate === undefined) return undefined
  const rates = [medianOf(baseline, 'requestsPerS'), medianOf(candidate, 'requestsPerS')]
  const kept = Math.min(...rates) / paceRate
  if (kept >= PACE_KEPT_MIN) return undefined
  return `${name}: only ${Math.round(kept * 100)}% of the pace was reached: ignore its figures`
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const isOdd = sorted.length % 2 === 1
  const median = isOdd ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  return { median, min: sorted[0], max: sorted[sorted.length - 1] }
}

function sampleRow(name: string, samples: readonly Sample[]): Row {
  return [
    name,
    rateText(medianOf(samples, 'requestsPerS')),
    usText(medianOf(samples, 'p50Us')),
    usText(medianOf(samples, 'p99Us')),
    usText(medianOf(samples, 'p999Us')),
    usText(longestOf(samples)),
    usText(medianOf(samples, 'serverUs')),
    usText(medianOf(samples, 'loadUs')),
    `${(medianOf(samples, 'busy') * 100).toFixed(0)}%`,
  ]
}

function summaryRow(comparison: Comparison): Row {
  const { name, load, baseline, candidate, baselineName, candidateName } = comparison
  return [
    name,
    load,
    `${baselineName} / ${candidateName}`,
    pairText(baseline, candidate, 'serverUs', usText),
    spreadText(cpuRatio(comparison)),
    pairText(baseline, candidate, 'requestsPerS', rateText),
    spreadText(rateRatio(comparison)),
    latencyText(baseline),
    latencyText(candidate),
  ]
}

function pairText(
  baseline: readonly Sample[],
  candidate: readonly Sample[],
  field: keyof Sample,
  print: (value: number) => string,
): string {
  return `${print(medianOf(baseline, field))} / ${print(medianOf(candidate, field))}`
}

function latencyText(samples: readonly Sample[]): string {
  const fields = ['p50Us', 'p99Us', 'p999Us'] as const
  const texts = fields.map(field => usText(medianOf(samples, field)))
  return [...texts, usText(longestOf(samples))].join(' / ')
}

/** The longest latency of all rounds. */
function longestOf(samples: readonly Sample[]): number {
  return Math.max(...samples.map(({ longestUs }) => longestUs))
}

function medianOf(samples: readonly Sample[], field: keyof Sample): number {
  return spreadOf(samples.map(sample => sample[field])).median
}

function spreadText({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}..${max.toFixed(2)})`
}

function rateText(perS: number): string {
  return Math.round(perS).toLocaleString('en')
}

function usText(us: number): string {
  if (Number.isNaN(us)) return '-'
  return us < 100 ? us.toFixed(2) : Math.round(us).toLocaleString('en')
}

export function plainTable(rows: readonly Row[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))
  const isText = (column: number) => /[a-z]/i.test(rows[1][column])
  const pad = (cell: string, column: number) =>
    isText(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
  return rows.map(row => `  ${row.map(pad).join('  ')}`.trimEnd()).join('\n')
}

export function markdownTable([head, ...rows]: readonly Row[]): string {
  const rule = head.map((_, column) => (column < 2 ? '---' : '---:'))
  return [head, rule, ...rows].map(row => `| ${row.join(' | ')} |`).join('\n')
}
