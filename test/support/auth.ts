/**
 * An authenticator for sessions without a socket: one user, answers delayed as a test wants, and a
 * record of the claims. Also SASL frames, for peers with a socket too.
 */
import type { Authenticator, Claim } from '../../lib/protocol/authenticator.ts'
import { Wire } from './wire.ts'

export const USER = 'user'
export const PASSWORD = 'pass word'

export interface Doors {
  text?: boolean
  sasl?: boolean
  /** Delay of an answer, ms, by the number of failures so far. */
  delayMs?: (failures: number) => number
}

export class TestAuthenticator implements Authenticator {
  readonly textNeeded: boolean
  readonly saslNeeded: boolean
  readonly claims: [user: string, password: string][] = []
  readonly judged: [failures: number, right: boolean][] = []
  private readonly delayMs: (failures: number) => number

  constructor({ text = true, sasl = true, delayMs = () => 0 }: Doors = {}) {
    this.textNeeded = text
    this.saslNeeded = sasl
    this.delayMs = delayMs
  }

  checkText(claim: Claim): boolean {
    return this.check(claim)
  }

  checkSasl(claim: Claim): boolean {
    return this.check(claim)
  }

  judge(_id: number, failures: number, right: boolean): number {
    this.judged.push([failures, right])
    return this.delayMs(failures)
  }

  private check({ bytes, userStart, userEnd, passwordStart, passwordEnd }: Claim): boolean {
    const user = bytes.toString('latin1', userStart, userEnd)
    const password = bytes.toString('latin1', passwordStart, passwordEnd)
    this.claims.push([user, password])
    return user === USER && password === PASSWORD
  }
}

export const Op = {
  GET: 0x00,
  QUIT: 0x07,
  NOOP: 0x0a,
  VERSION: 0x0b,
  STAT: 0x10,
  SETQ: 0x11,
} as const
export const Sasl = { LIST: 0x20, AUTH: 0x21, STEP: 0x22 } as const

export interface Wrong {
  extras?: string
  magic?: number
  bodyBytes?: number
}

/** A binary request as latin1 text; fields may be wrong on purpose. */
export function frame(opcode: number, key = '', value = '', wrong: Wrong = {}): string {
  const { extras = '', magic = 0x80, bodyBytes = extras.length + key.length + value.length } = wrong
  const header = Buffer.alloc(24)
  header[0] = magic
  header[1] = opcode
  header.writeUInt16BE(key.length, 2)
  header[4] = extras.length
  header.writeUInt32BE(bodyBytes, 8)
  header.writeUInt32BE(0xfeedbeef, 12)
  return header.toString('latin1') + extras + key + value
}

/** A SASL PLAIN message. */
export function plain(user: string, password: string, authzid = ''): string {
  return `${authzid}\0${user}\0${password}`
}

/**
 * Binary responses in readable form: opcode, status, body, without fields that are always the same.
 */
export function readResponses(bytes: Buffer): string[] {
  const found: string[] = []
  let at = 0
  while (bytes.length - at >= 24) {
    const end = at + 24 + bytes.readUInt32BE(at + 8)
    const mark = bytes.readUInt32BE(at + 12) === 0xfeedbeef && bytes[at] === 0x81 ? '' : '?'
    const [opcode, status] = [bytes[at + 1], bytes.readUInt16BE(at + 6)].map(n => n.toString(16))
    found.push(`${mark}${opcode} ${status} ${bytes.toString('latin1', at + 24, end)}`.trim())
    at = end
  }
  return at < bytes.length ? [...found, bytes.toString('latin1', at)] : found
}

const START_PEERS = 8
const START_MS_MAX = 10_000

/** Waits for every thread of the server to answer: it accepts before all threads have started. */
export async function awaitSasl({ port }: { port: number }): Promise<void> {
  const wires = await Promise.all(Array.from({ length: START_PEERS }, () => Wire.connect(port)))
  for (const wire of wires) wire.send(Buffer.from(frame(Sasl.LIST), 'latin1'))
  await Promise.all(wires.map(wire => wire.readUntil(Buffer.from('PLAIN'), START_MS_MAX)))
  for (const wire of wires) wire.close()
}
