// The values of command line options, text -> settings. Errors have memcached's messages where it
// has them, and ours where it would guess (it reads `-m 2g` as two megabytes). Bounds are checked
// in options/checks.ts, because settings come from programs too.

import { GIB, KIB, MIB } from '../bytes/units.ts'
import { fittingMemory, fittingThreads, type Machine, readMachine } from './machine.ts'
import { DEFAULTS, EXIT_FAILURE, EXIT_USAGE, type Options } from './options.ts'

export type Given = Partial<Options> & {
  /** The memory limit is what fits: it follows from other options (`withFitting`). */
  memoryFits?: boolean
}

/** In place of a number: what the machine, or the container, has. */
const AUTO = 'auto'

const PROTOCOLS = ['auto', 'ascii', 'binary'] as const

/** Thrown by a reader: one line, and the exit code. */
export class Refused extends Error {
  readonly exitCode: number
  constructor(line: string, exitCode = EXIT_FAILURE) {
    super(line)
    this.exitCode = exitCode
  }
}

export function readPort(text: string): Given {
  const port = /^\s*[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(port)) throw new Refused(`ERROR: Invalid port number ${text}.`, EXIT_USAGE)
  if (port === 0) return { port, tcpEnabled: false }
  return { port: port === -1 ? 0 : port, tcpEnabled: true }
}

export function readUnixMask(text: string): Given {
  if (/^[0-7]+$/.test(text)) return { unixMask: Number.parseInt(text, 8) }
  throw new Refused(`Illegal value "${text}" for -a: an octal number is needed`)
}

export function readPrefix(text: string): Given {
  if (text === '') throw new Refused('No delimiter specified')
  return { detailPrefix: text.slice(0, 1), detailEnabled: true }
}

export function readNapiIds(text: string): Given {
  const napiIds = wholeOf(text, '-N')
  if (napiIds > 0) return { napiIds }
  throw new Refused('Maximum number of NAPI IDs must be greater than 0')
}

export function readMemoryLimit(text: string): Given {
  if (text === AUTO) return { memoryFits: true }
  return { memoryLimitBytes: wholeOf(text.replace(/m$/i, ''), '-m', text) * MIB }
}

export function readThreads(text: string): Given {
  return { threads: text === AUTO ? fittingThreads(readMachine()) : wholeOf(text, '-t') }
}

/** With a number where the memory limit is what fits. */
export function withFitting({ memoryFits = false, ...given }: Given, machine: Machine): Given {
  if (!memoryFits) return given
  const { threads = DEFAULTS.threads, memoryFile } = given
  return { ...given, memoryLimitBytes: fittingMemory(machine, threads, memoryFile) }
}

export function readItemSize(text: string): Given {
  const [, digits = '', unit = ''] = /^\s*(\d+)([kmg]?)$/i.exec(text) ?? []
  const unitBytes = { '': 1, k: KIB, m: MIB, g: GIB }[unit.toLowerCase()] ?? 1
  return { itemSizeMax: wholeOf(digits, '-I', text) * unitBytes }
}

export function readFactor(text: string): Given {
  return { growthFactor: numberOf(text, '-f') }
}

export function readProtocol(text: string): Given {
  const protocol = PROTOCOLS.find(name => name === text)
  if (protocol !== undefined) return { protocol }
  const line = `Invalid value for binding protocol: ${text}`
  throw new Refused(`${line} -- should be one of auto, binary, or ascii`, EXIT_USAGE)
}

export function wholeOf(digits: string, name: string, text = digits): number {
  if (/^\s*[+-]?\d+$/.test(digits)) return Number(digits)
  throw new Refused(`Illegal value "${text}" for ${name}: a whole number is needed`)
}

export function numberOf(text: string, name: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isFinite(value)) return value
  throw new Refused(`Illegal value "${text}" for ${name}: a number is needed`)
}
