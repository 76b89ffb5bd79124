// The file of --config, YAML or JSON (which YAML contains) -> Config. Each fault is one line with
// its place: `scale.yaml:12:3: policies.cpu takes a number from 1 to 100`.

import { readFileSync, statSync } from 'node:fs'
import { type Document, isMap, isNode, isPair, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { CONFIG_BYTES_MAX } from '../limits.ts'
import { CONFIG, type Config } from './schema.ts'

/** The file cannot be used: one line a fault. */
export class ConfigFaults extends Error {
  override readonly name = 'ConfigFaults'
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}

/** Throws ConfigFaults. */
export function readConfig(path: string): Config {
  return parseConfig(path, read(path))
}

/** The same from a text; `path` is only for the faults. */
export function parseConfig(path: string, text: string): Config {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const placed = (offset: number, line: string) => {
    const { line: row, col } = lines.linePos(offset)
    return `${path}:${Math.max(1, row)}:${Math.max(1, col)}: ${line}`
  }
  const errors = [...document.errors, ...document.warnings]
  if (errors.length > 0) {
    throw new ConfigFaults(errors.map(({ pos, message }) => placed(pos[0], oneLine(message))))
  }
  const checked = CONFIG.safeParse(contentOf(path, document))
  if (checked.success) return checked.data
  const faults = checked.error.issues.flatMap(issue => faultsOf(issue, document))
  faults.sort(([a], [b]) => a - b)
  throw new ConfigFaults(faults.map(([offset, line]) => placed(offset, line)))
}

function contentOf(path: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw new ConfigFaults([`${path}: ${oneLine((error as Error).message)}`])
  }
}

function faultsOf(issue: z.core.$ZodIssue, document: Document): [offset: number, line: string][] {
  const path = issue.path.map(step => (typeof step === 'symbol' ? String(step) : step))
  if (issue.code !== 'unrecognized_keys') {
    const name = path.length === 0 ? 'the file' : nameOf(path)
    return [[offsetOf(document, path), `${name} ${issue.message}`]]
  }
  return issue.keys.map(key => [
    offsetOf(document, [...path, key]),
    `${nameOf([...path, key])} ${issue.message}`,
  ])
}

/** `schedule[0].at` */
function nameOf(path: readonly (string | number)[]): string {
  return path
    .map(step => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '')
}

/** Where a field is; where it is missing, what should contain it. */
function offsetOf(document: Document, path: readonly (string | number)[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = document.getIn(path.slice(0, depth - 1), true)
    const step = path[depth - 1]
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => String(key) === String(step))
      if (isPair(pair) && isNode(pair.key)) return pair.key.range?.[0] ?? 0
    }
    const found = document.getIn(path.slice(0, depth), true)
    if (isNode(found)) return found.range?.[0] ?? 0
  }
  return 0
}

function read(path: string): string {
  try {
    const { size } = statSync(path)
    if (size > CONFIG_BYTES_MAX) throw new ConfigFaults([`${path}: it is too long`])
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof ConfigFaults) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new ConfigFaults([`${path}: it cannot be read: ${code}`])
  }
}

function oneLine(text: string): string {
  return text.split('\n')[0].trim()
}
