// The desk of one thread: gives passes to its peers by the file of --acl, which the main thread
// puts on a board, and checks who they say to be.
//
// A password is checked with scrypt on another thread of libuv, a few at a time. That takes 50 ms,
// and every connection logs in: so what was right is remembered, as a digest with a key of this
// thread, until the file changes. Passwords themselves are wiped at once.

import { randomBytes } from 'node:crypto'
import { type Acl, DEFAULT_USER, type Limits, readAcl, type User } from '../../access/acl.ts'
import { Board } from '../../access/board.ts'
import { type Claim, digestOfClaim } from '../../access/claim.ts'
import { checkDigest, digestOfNobody } from '../../access/digest.ts'
import { SECRET_BYTES_MAX } from '../../access/limits.ts'
import { NO_METER } from '../../access/meters.ts'
import { type Desk, type Grant, Pass, type PendingCheck } from '../../access/pass.ts'
import { NO_RIGHTS } from '../../access/rights.ts'
import { readToken, signerOf } from '../../access/signed-token.ts'
import { Penalties } from '../../protocol/auth/penalties.ts'
import { originOf } from '../system/peer-origin.ts'
import { RareLog } from '../system/rare-log.ts'
import { CHECKS_AT_ONCE, CHECKS_WAITING_MAX, REMEMBERED_MAX } from './limits.ts'

/** What the main thread puts on the board. */
export interface Posted {
  /** The text of the file. */
  text: string
  /** Meters of users and signers that have limits, by `user NAME` and `token NAME`. */
  meters: Record<string, number>
}

export interface DeskSurroundings {
  addressOf(id: number): string
  /** Unix seconds. */
  nowS(): number
  /** Logs a line, with -v. */
  log(line: string): void
  /** The connection counts for this meter from now on. False: too many do. */
  meter(id: number, meter: number): boolean
}

interface Waiting extends PendingCheck {
  isDone: boolean
  grant: Grant | null
  isCancelled: boolean
  run(done: () => void): void
}

export class AclDesk implements Desk {
  private readonly board: Board
  private readonly surroundings: DeskSurroundings
  private readonly penalties = new Penalties()
  private readonly failures: RareLog
  private readonly secret = randomBytes(32)
  private readonly nobody = digestOfNobody()
  /** Right claims by their digest, the oldest first. */
  private readonly remembered = new Map<string, Grant>()
  private readonly waiting: Waiting[] = []
  private running = 0
  private readVersion = -1
  private acl: Acl = readAcl('')
  private meters: Record<string, number> = {}

  constructor(board: SharedArrayBuffer, surroundings: DeskSurroundings) {
    this.board = new Board(board)
    this.surroundings = surroundings
    this.failures = new RareLog(line => surroundings.log(line))
  }

  get version(): number {
    return this.board.version
  }

  nowS(): number {
    return this.surroundings.nowS()
  }

  arrive(id: number, names: readonly string[]): Pass {
    const pass = new Pass(this, id)
    this.leave(pass)
    const acl = this.current()
    const user = names.map(name => acl.byCertificate.get(name)).find(found => found !== undefined)
    if (user === undefined) return pass
    const credential = names.find(name => acl.byCertificate.get(name) === user)
    if (!this.admit(pass, grantOf(user, `cert=${credential}`))) pass.end()
    return pass
  }

  check(claim: Claim): Grant | PendingCheck | null {
    const { bytes, userStart, userEnd, passwordStart, passwordEnd } = claim
    const acl = this.current()
    if (passwordEnd - passwordStart > SECRET_BYTES_MAX) return null
    const name = bytes.toString('utf8', userStart, userEnd)
    const digest = digestOfClaim(this.secret, claim).toString('base64')
    const known = this.remembered.get(digest)
    if (known !== undefined) return known
    const token = this.checkToken(bytes.toString('latin1', passwordStart, passwordEnd), name)
    if (token !== undefined) return token
    if (this.waiting.length >= CHECKS_WAITING_MAX) return null
    const password = Buffer.from(bytes.subarray(passwordStart, passwordEnd))
    return this.checkLater(acl.users.get(name), password, digest)
  }

  admit(pass: Pass, grant: Grant): boolean {
    const { rights, limits } = this.standingOf(grant)
    if (rights === null) return false
    if (!this.count(pass, grant.metered, limits)) return false
    pass.become(grant, rights, this.readVersion)
    return true
  }

  leave(pass: Pass): void {
    const user = this.current().users.get(DEFAULT_USER)
    this.count(pass, `user ${DEFAULT_USER}`, user?.limits)
    pass.become(null, user?.rights ?? NO_RIGHTS, this.readVersion)
  }

  renew(pass: Pass): void {
    const { grant } = pass
    if (grant === null) {
      if (!pass.isOver) this.leave(pass)
      return
    }
    this.current()
    const { rights, limits } = this.standingOf(grant)
    if (rights === null) {
      pass.version = this.readVersion
      return pass.end()
    }
    // Whoever is in stays, even above a new limit.
    this.count(pass, grant.metered, limits)
    pass.become(grant, rights, this.readVersion)
  }

  judge(id: number, failures: number, right: boolean): number {
    const address = this.surroundings.addressOf(id)
    if (!right) this.failures.note(`authentication failed: ${address}`)
    return this.penalties.judge(originOf(address), failures, right, performance.now())
  }

  /** The file, as it is on the board now. */
  private current(): Acl {
    if (this.board.version === this.readVersion) return this.acl
    const { text, version } = this.board.read()
    const posted: Posted = JSON.parse(text)
    this.acl = readAcl(posted.text)
    this.meters = posted.meters
    this.readVersion = version
    this.remembered.clear()
    return this.acl
  }

  /** What a grant is worth by the file: null rights where what was shown is valid no more. */
  private standingOf(grant: Grant) {
    const { users, signers } = this.acl
    const nothing = { rights: null, limits: undefined }
    if (grant.signer === null) {
      const user = users.get(grant.name)
      const isKnown = user !== undefined && credentialsOf(user).includes(grant.credential)
      return isKnown ? { rights: user.rights, limits: user.limits } : nothing
    }
    const signer = signers.get(grant.signer)
    if (signer === undefined || signer.keyText !== grant.credential) return nothing
    const asked = grant.asked ?? users.get(grant.name)?.rights ?? null
    const rights = asked?.within(signer.rights) ?? null
    return { rights, limits: signer.limits }
  }

  /** Makes the connection count for who it is now. False: too many do. */
  private count(pass: Pass, metered: string, limits: Limits | undefined): boolean {
    const meter = limits === undefined ? NO_METER : (this.meters[metered] ?? NO_METER)
    if (meter === pass.meter) return true
    if (!this.surroundings.meter(pass.id, meter)) return false
    pass.meter = meter
    return true
  }

  /** Undefined: it is no token. */
  private checkToken(text: string, name: string): Grant | null | undefined {
    const { signers } = this.acl
    const kid = signers.size === 0 ? null : signerOf(text)
    if (kid === null) return undefined
    const signer = signers.get(kid)
    const token = signer === undefined ? null : readToken(text, signer.key, this.nowS())
    if (signer === undefined || token === null || token.user !== name) return null
    return {
      name,
      expiresAtS: token.expiresAtS,
      credential: signer.keyText,
      signer: kid,
      asked: token.rights,
      metered: `token ${kid}`,
    }
  }

  private checkLater(user: User | undefined, password: Buffer, digest: string): PendingCheck {
    // An unknown name takes as long as a known one.
    const passwords = user?.passwords ?? []
    const digests = passwords.length > 0 ? passwords : [{ digest: this.nobody, text: '' }]
    const check: Waiting = {
      isDone: false,
      grant: null,
      isCancelled: false,
      cancel: () => {
        check.isCancelled = true
      },
      run: done => {
        let left = digests.length
        for (const { digest: wanted, text } of digests) {
          checkDigest(wanted, password, isRight => {
            if (isRight && user !== undefined) check.grant = grantOf(user, text)
            if (--left > 0) return
            password.fill(0)
            if (check.grant !== null) this.remember(digest, check.grant)
            check.isDone = true
            done()
          })
        }
      },
    }
    this.waiting.push(check)
    this.runChecks()
    return check
  }

  private runChecks(): void {
    while (this.running < CHECKS_AT_ONCE) {
      const next = this.waiting.shift()
      if (next === undefined) return
      if (next.isCancelled) continue
      this.running++
      next.run(() => {
        this.running--
        this.runChecks()
      })
    }
  }

  private remember(digest: string, grant: Grant): void {
    if (this.remembered.size === REMEMBERED_MAX) {
      const [oldest = ''] = this.remembered.keys()
      this.remembered.delete(oldest)
    }
    this.remembered.set(digest, grant)
  }
}

function grantOf({ name }: User, credential: string): Grant {
  return {
    name,
    expiresAtS: Number.POSITIVE_INFINITY,
    credential,
    signer: null,
    asked: null,
    metered: `user ${name}`,
  }
}

function credentialsOf({ passwords, certificates }: User): string[] {
  return [...passwords.map(({ text }) => text), ...certificates.map(name => `cert=${name}`)]
}
