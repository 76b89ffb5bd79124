// Kinds of values in the configuration. Each says in one line what it takes.

import { Cron } from 'croner'
import { z } from 'zod'
import { COMMAND_WORDS_MAX } from '../limits.ts'

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/

/** A length of time such as 15s, 3m or 500ms, in ms. */
export function duration(leastMs: number, mostMs: number) {
  const range = `from ${durationText(leastMs)} to ${durationText(mostMs)}`
  return z.unknown().transform((given, context): number => {
    const [, count, unit = ''] = DURATION.exec(String(given)) ?? []
    const ms = count === undefined ? Number.NaN : Number(count) * UNITS_MS[unit]
    if (ms >= leastMs && ms <= mostMs) return ms
    context.addIssue({ code: 'custom', message: `takes a time such as 15s or 3m, ${range}` })
    return z.NEVER
  })
}

function durationText(ms: number): string {
  const unit = Object.keys(UNITS_MS).findLast(name => ms % UNITS_MS[name] === 0) ?? 'ms'
  return ms === 0 ? '0s' : `${ms / UNITS_MS[unit]}${unit}`
}

export function number(least: number, most: number) {
  const what = `takes a number from ${least} to ${most}`
  return z.number(what).min(least, what).max(most, what)
}

export function count(least: number, most: number) {
  const what = `takes a whole number from ${least} to ${most}`
  return z.int(what).min(least, what).max(most, what)
}

export const text = z.string('takes a text').min(1, 'takes a text that is not empty')

export const flag = z.boolean('takes true or false')

export function oneOf<const Name extends string>(names: readonly Name[]) {
  return z.enum(names, `takes ${names.join(', ')}`)
}

/** A program and its arguments; no shell reads them. */
export const command = z
  .array(z.string('takes texts'), 'takes a list: a program and its arguments')
  .min(1, 'takes a list: a program and its arguments')
  .max(COMMAND_WORDS_MAX, `takes at most ${COMMAND_WORDS_MAX} words`)

/** Fields of an object; others are refused. */
export function fields<Shape extends z.ZodRawShape>(shape: Shape) {
  const names = Object.keys(shape).join(', ')
  return z.strictObject(shape, { error: issue => fieldFault(issue, names) })
}

function fieldFault({ code }: { code?: string }, names: string): string {
  return code === 'unrecognized_keys' ? `is not known here; known are ${names}` : `takes ${names}`
}

/** A pattern of cron, and a time zone. */
export function cronFault(pattern: string, zone: string | undefined): 'at' | 'zone' | undefined {
  try {
    new Cron(pattern, { paused: true })
  } catch {
    return 'at'
  }
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
  } catch {
    return 'zone'
  }
  return undefined
}
