// The form of the configuration: every field, its default, and what must hold between fields.

import { z } from 'zod'
import { DRAIN_AT_ONCE, DRAIN_AT_ONCE_MAX } from '../../../client/limits.ts'
import { RING_KINDS } from '../../../client/ring/ring.ts'
import { ETCD_ENDPOINTS_MAX, ETCD_PREFIX, ETCD_TTL_S_MIN } from '../../../etcd/limits.ts'
import { NODES_MAX, SCHEDULE_MAX } from '../limits.ts'
import { command, count, cronFault, duration, fields, flag, number, oneOf, text } from './kinds.ts'

const SECOND_MS = 1000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** By which measure the loss of a node is the least. */
export const LOSSES = ['hits', 'items', 'memory'] as const
/** Who tells clients which nodes there are. */
export const ANNOUNCERS = ['etcd', 'nodes', 'config', 'command', 'none'] as const

/** How long clients take to hear of a change, by who tells them. */
const SETTLE_MS: Readonly<Record<(typeof ANNOUNCERS)[number], number>> = {
  etcd: 5000,
  nodes: 5000,
  // Clients of a configuration endpoint ask once a minute.
  config: 70_000,
  command: 5000,
  none: 0,
}

const policies = fields({
  cpu: number(1, 100).optional(),
  connections: number(1, 1e6).optional(),
  memory: number(1, 100).optional(),
  evictions: number(0.01, 1e9).optional(),
  curve: fields({ gain: number(0.01, 100), loss: number(0, 100) }).optional(),
})

const processes = fields({
  dir: text,
  host: text.default('127.0.0.1'),
  ports: fields({ first: count(1, 65_535), last: count(1, 65_535) }).prefault({
    first: 11_311,
    last: 11_399,
  }),
  args: z.array(text, 'takes a list of arguments').default([]),
  start: duration(SECOND_MS, HOUR_MS).prefault('60s'),
  stop: duration(SECOND_MS, HOUR_MS).prefault('60s'),
})

const commands = fields({
  list: command,
  out: command,
  in: command,
  timeout: duration(SECOND_MS, HOUR_MS).prefault('60s'),
  ready: duration(SECOND_MS, HOUR_MS).prefault('10m'),
})

const desired = fields({ ready: duration(SECOND_MS, HOUR_MS).prefault('10m') })

const schedule = z
  .array(
    fields({
      at: text,
      zone: text.optional(),
      least: count(1, NODES_MAX).optional(),
      most: count(1, NODES_MAX).optional(),
    }),
    'takes a list',
  )
  .max(SCHEDULE_MAX, `takes at most ${SCHEDULE_MAX} entries`)
  .default([])

const form = fields({
  least: count(1, NODES_MAX),
  most: count(1, NODES_MAX),
  every: duration(100, HOUR_MS).prefault('15s'),
  policies,
  slack: number(1, 90).default(10),
  room: number(0, 100).default(90),
  window: fields({
    out: duration(0, DAY_MS).prefault('1m'),
    in: duration(0, DAY_MS).prefault('10m'),
  }).prefault({}),
  cooldown: fields({
    out: duration(0, DAY_MS).prefault('3m'),
    in: duration(0, DAY_MS).prefault('15m'),
  }).prefault({}),
  step: count(1, NODES_MAX).default(2),
  leave: oneOf(LOSSES).default('hits'),
  warm: count(0, 1e6).default(0),
  move: count(1, DRAIN_AT_ONCE_MAX).default(DRAIN_AT_ONCE),
  ring: oneOf(RING_KINDS).default('libmemcached'),
  backoff: fields({
    first: duration(100, HOUR_MS).prefault('5s'),
    most: duration(100, DAY_MS).prefault('5m'),
  }).prefault({}),
  schedule,
  driver: fields({
    processes: processes.optional(),
    command: commands.optional(),
    etcd: desired.optional(),
  }),
  announce: fields({
    by: oneOf(ANNOUNCERS),
    command: command.optional(),
    timeout: duration(SECOND_MS, HOUR_MS).prefault('60s'),
    settle: duration(0, HOUR_MS).optional(),
  }).optional(),
  etcd: fields({
    endpoints: z
      .array(text, 'takes a list of URLs')
      .min(1, 'takes at least one URL')
      .max(ETCD_ENDPOINTS_MAX, `takes at most ${ETCD_ENDPOINTS_MAX} URLs`),
    prefix: text.default(ETCD_PREFIX),
    state: text.default('/memslab-scale/'),
    ttl: duration(ETCD_TTL_S_MIN * SECOND_MS, HOUR_MS).prefault('15s'),
  }).optional(),
  access: fields({
    login: text.optional(),
    tls: flag.default(false),
    ca: text.optional(),
  }).prefault({}),
  listen: text.optional(),
})

type Form = z.infer<typeof form>
type Path = (string | number)[]

export type Policies = Form['policies']
export type ProcessesOptions = z.infer<typeof processes>
export type CommandsOptions = z.infer<typeof commands>
export type DesiredOptions = z.infer<typeof desired>
export type EtcdOptions = NonNullable<Form['etcd']>
export type Loss = (typeof LOSSES)[number]
export type ScheduleEntry = Form['schedule'][number]

export type Announce = Required<
  Pick<NonNullable<Form['announce']>, 'by' | 'timeout' | 'settle'>
> & {
  command: string[]
}

export interface Config extends Omit<Form, 'announce'> {
  announce: Announce
}

/** What checks the form; faults have the path of their field. */
export const CONFIG = form
  .superRefine((given, context) => {
    for (const [path, message] of faultsOf(given)) {
      context.addIssue({ code: 'custom', path, message })
    }
  })
  .transform((given): Config => ({ ...given, announce: announceOf(given) }))

/** Rules between fields. */
function* faultsOf(given: Form): Generator<[path: Path, message: string]> {
  const { least, most, policies, driver, etcd, backoff, warm, announce } = given
  if (least > most) yield [['least'], `is above most, ${most}`]
  if (Object.keys(policies).length === 0) yield [['policies'], 'takes at least one policy']
  const { curve } = policies
  if (curve !== undefined && curve.loss >= curve.gain) {
    yield [
      ['policies', 'curve', 'loss'],
      'has to be below gain, or the pool grows and shrinks in turn',
    ]
  }
  if (backoff.first > backoff.most) yield [['backoff', 'first'], 'is above most']
  yield* scheduleFaults(given)
  const names = Object.keys(driver)
  if (names.length !== 1) yield [['driver'], 'takes one of processes, command, etcd']
  if (driver.etcd !== undefined && etcd === undefined) {
    yield [['driver', 'etcd'], 'needs the section etcd']
  }
  yield* processFaults(given)
  const { by, command } = announceOf(given)
  if (announce !== undefined && (by === 'etcd' || by === 'nodes') && etcd === undefined) {
    yield [['announce', 'by'], `${by} needs the section etcd`]
  }
  if ((by === 'command') !== command.length > 0) {
    yield [['announce'], 'by: command goes with command: [program, arguments]']
  }
  if (warm > 0 && (by === 'nodes' || by === 'none')) {
    yield [
      ['warm'],
      'needs an announce by etcd, config or command: nodes that announce themselves cannot be warmed first',
    ]
  }
}

function* scheduleFaults({ least, most, schedule }: Form): Generator<[Path, string]> {
  for (const [index, entry] of schedule.entries()) {
    const path = ['schedule', index]
    const fault = cronFault(entry.at, entry.zone)
    if (fault === 'at') yield [[...path, 'at'], 'takes five fields of cron, such as 0 8 * * 1-5']
    if (fault === 'zone') yield [[...path, 'zone'], 'takes a time zone such as Europe/Berlin']
    if (entry.least === undefined && entry.most === undefined) yield [path, 'takes least or most']
    if ((entry.least ?? least) > (entry.most ?? most)) yield [path, 'its least is above its most']
  }
}

/** Options that the driver sets itself. */
const OWN_ARGS = /^(?:-[pldPsU]|--(?:port|listen|daemon|pidfile|unix-socket|udp-port)\b)/

function* processFaults({ driver, most, schedule }: Form): Generator<[Path, string]> {
  const { processes } = driver
  if (processes === undefined) return
  const path = ['driver', 'processes']
  const { first, last } = processes.ports
  const highest = Math.max(most, ...schedule.map(entry => entry.most ?? 0))
  if (last - first + 1 < highest) {
    yield [[...path, 'ports'], `has fewer than ${highest} ports, the most nodes`]
  }
  for (const [index, arg] of processes.args.entries()) {
    if (OWN_ARGS.test(arg)) yield [[...path, 'args', index], `${arg} is set by the driver`]
  }
}

function announceOf({ announce, driver, etcd }: Form): Announce {
  const implied = driver.etcd !== undefined ? 'nodes' : etcd === undefined ? 'none' : 'etcd'
  const by = announce?.by ?? implied
  return {
    by,
    command: announce?.command ?? [],
    timeout: announce?.timeout ?? 60_000,
    settle: announce?.settle ?? SETTLE_MS[by],
  }
}
