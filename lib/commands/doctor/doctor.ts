// `memslab doctor HOST:PORT...`: watches servers, memslab or memcached, for a bounded time and says
// what is wrong with them. The exit code is that of monitoring plugins.

import { setTimeout as sleep } from 'node:timers/promises'
import { printable } from '../../bytes/printable.ts'
import { Misused, readArguments, runCommand } from '../command-line.ts'
import { REPORTS, type Sample, sampleOf, versionOf } from '../servers/sample.ts'
import { StatsLink } from '../servers/stats-link.ts'
import { ACCESS_SWITCHES, ACCESS_USAGE, accessOf, serversOf } from '../servers/watch-switches.ts'
import { type Finding, findingsOf, poolFindingOf, type Visit } from './findings.ts'

/** How long servers are watched, seconds. */
const WATCH_S = 10
const WATCH_S_MIN = 0.1
const WATCH_S_MAX = 3600

/** As monitoring plugins end: nothing found, a warning, something critical, no answer. */
const EXIT = { ok: 0, warning: 1, critical: 2, unknown: 3 } as const

const USAGE = `usage: memslab doctor HOST:PORT...
watches servers, memslab or memcached, and says what is wrong, why, and what helps
  --for <num>      seconds to watch (default: ${WATCH_S})
  --json           JSON instead of text
${ACCESS_USAGE}
exit code: 0 nothing found, 1 a warning, 2 something critical, 3 no answer`

/** What was found on one server. */
interface Diagnosis {
  server: string
  /** Why it did not answer; null: it did. */
  fault: string | null
  version: string | null
  findings: Finding[]
}

interface Patient {
  name: string
  link: StatsLink
  first: Sample | null
  last: Sample | null
  fault: string | null
}

/** Returns the exit code. */
export function runDoctor(words: readonly string[]): Promise<number> {
  return runCommand(USAGE, words, async () => {
    const parsed = await readArguments(words, {
      ...ACCESS_SWITCHES,
      for: { type: 'number', default: WATCH_S, requiresArg: true },
      json: { type: 'boolean', default: false },
    })
    const seconds = parsed.number('for')
    if (seconds < WATCH_S_MIN || seconds > WATCH_S_MAX) {
      throw new Misused(`--for takes seconds from ${WATCH_S_MIN} to ${WATCH_S_MAX}`)
    }
    const access = accessOf(parsed)
    const patients = serversOf(parsed).map(
      ({ name, node }): Patient => ({
        name,
        link: new StatsLink(node, access),
        first: null,
        last: null,
        fault: null,
      }),
    )
    const diagnoses = await examine(patients, seconds * 1000)
    const text = parsed.flag('json')
      ? JSON.stringify(diagnoses, undefined, 2)
      : diagnoses.map(textOf).join('\n')
    process.stdout.write(`${text}\n`)
    return exitCodeOf(diagnoses)
  })
}

async function examine(patients: Patient[], forMs: number): Promise<Diagnosis[]> {
  try {
    await Promise.all(patients.map(async patient => (patient.first = await look(patient))))
    await sleep(forMs)
    await Promise.all(patients.map(async patient => (patient.last = await look(patient))))
  } finally {
    for (const { link } of patients) link.close()
  }
  const visits = patients.flatMap(patient => visitOf(patient) ?? [])
  return patients.map(patient => {
    const visit = visitOf(patient)
    const { name: server } = patient
    if (visit === null) {
      return { server, fault: patient.fault ?? 'no answer', version: null, findings: [] }
    }
    const pool = poolFindingOf(visit, visits)
    const findings = [...findingsOf(visit), ...(pool === null ? [] : [pool])]
    const order = { critical: 0, warning: 1, advice: 2 }
    findings.sort((a, b) => order[a.severity] - order[b.severity])
    return { server, fault: null, version: versionOf(visit.last), findings }
  })
}

async function look(patient: Patient): Promise<Sample | null> {
  try {
    const reports = await patient.link.ask(REPORTS)
    return sampleOf(reports, performance.now())
  } catch (error) {
    patient.fault = error instanceof Error ? error.message : String(error)
    return null
  }
}

function visitOf({ name, first, last }: Patient): Visit | null {
  return first === null || last === null ? null : { server: name, first, last }
}

function exitCodeOf(diagnoses: readonly Diagnosis[]): number {
  const severities = diagnoses.flatMap(({ findings }) => findings.map(({ severity }) => severity))
  if (severities.includes('critical')) return EXIT.critical
  if (diagnoses.some(({ fault }) => fault !== null)) return EXIT.unknown
  return severities.includes('warning') ? EXIT.warning : EXIT.ok
}

function textOf({ server, fault, version, findings }: Diagnosis): string {
  const name = printable(server)
  if (fault !== null) return `${name}: UNKNOWN: ${printable(fault)}`
  const head = `${name} (${printable(version ?? '')})`
  if (findings.length === 0) return `${head}: OK, nothing to say`
  return [`${head}:`, ...findings.map(paragraphOf)].join('\n')
}

function paragraphOf({ severity, id, says, evidence, run, brings }: Finding): string {
  return [
    `  ${severity.toUpperCase()} ${id}: ${says}`,
    `    seen:   ${printable(evidence)}`,
    `    do:     ${run}`,
    `    brings: ${brings}`,
  ].join('\n')
}
