/**
 * Access control for tests: a desk without a server, whose file a test replaces as it likes,
 * digests that are cheap to check, and tokens.
 */
import { createHmac, type KeyObject, randomBytes, scryptSync, sign } from 'node:crypto'
import { Board } from '../../lib/access/board.ts'
import type { Desk, Pass } from '../../lib/access/pass.ts'
import type { Host } from '../../lib/protocol/host.ts'
import { AclDesk } from '../../lib/server/access/desk.ts'

export interface TestDesk {
  desk: Desk
  /** Replaces the file. */
  post(text: string, meters?: Record<string, number>): void
  /** Log lines. */
  logged: string[]
  /** Meters by peer; a test may say that there are too many. */
  metered: Map<number, number>
  clock: { nowS: number; isFull: boolean }
}

export function createDesk(text: string, meters: Record<string, number> = {}): TestDesk {
  const board = Board.create()
  const post = (next: string, given: Record<string, number> = meters) => {
    if (!board.publish(JSON.stringify({ text: next, meters: given }))) throw new Error('too long')
  }
  post(text)
  const logged: string[] = []
  const metered = new Map<number, number>()
  const clock = { nowS: 1_800_000_000, isFull: false }
  const desk = new AclDesk(board.buffer, {
    addressOf: () => 'tcp:127.0.0.1:5000',
    nowS: () => clock.nowS,
    log: line => logged.push(line),
    meter: (id, meter) => {
      if (clock.isFull && meter >= 0) return false
      metered.set(id, meter)
      return true
    },
  })
  return { desk, post, logged, metered, clock }
}

/** The host with access control, whose peers all come with a certificate of this name. */
export function guardedHost(host: Host, desk: Desk, certificate?: string): Host {
  const names = certificate === undefined ? [] : [certificate]
  const access: Desk = {
    get version() {
      return desk.version
    },
    nowS: () => desk.nowS(),
    arrive: (id: number): Pass => desk.arrive(id, names),
    check: claim => desk.check(claim),
    admit: (pass, grant) => desk.admit(pass, grant),
    leave: pass => desk.leave(pass),
    renew: pass => desk.renew(pass),
    judge: () => 0,
  }
  return { ...host, access }
}

/** A digest of few rounds. */
export function cheapDigest(password: string): string {
  const salt = randomBytes(16)
  const hash = scryptSync(password, salt, 32, { N: 4, r: 1, p: 1 })
  const text = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$scrypt$ln=2,r=1,p=1$${text(salt)}$${text(hash)}`
}

type Head = Record<string, unknown>

/** A token; `key`: a secret, or a private key. */
export function tokenOf(key: Buffer | KeyObject, head: Head, body: Head): string {
  const part = (value: Head) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part(head)}.${part(body)}`
  const signature = Buffer.isBuffer(key)
    ? createHmac('sha256', key).update(text).digest()
    : sign(null, Buffer.from(text), key)
  return `${text}.${signature.toString('base64url')}`
}
