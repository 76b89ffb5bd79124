// The file of --acl in the main thread: reads it, puts it on the board for all threads, and gives
// meters. At the start a file with a fault is an error. When it is read again on request, the one
// from before stays where there is a fault.

import { constants, readFileSync, statSync } from 'node:fs'
import { BlockList } from 'node:net'
import { resolve } from 'node:path'
import { type Acl, DEFAULT_USER, type Limits, NO_LIMITS, readAcl } from '../../access/acl.ts'
import { Board } from '../../access/board.ts'
import { ACL_BYTES_MAX, ACL_SIGNERS_MAX, ACL_USERS_MAX } from '../../access/limits.ts'
import { type Meters, NO_METER } from '../../access/meters.ts'
import { EXIT_FAILURE } from '../../options/options.ts'
import { originOfHost } from '../system/peer-origin.ts'
import { reasonOf } from '../system/reason.ts'
import { StartError } from '../system/start-error.ts'
import { addNetwork } from './allow-list.ts'
import type { Posted } from './desk.ts'
import { SPARE_METERS } from './limits.ts'
import { MeterBook } from './meter-book.ts'

/** What threads need. Fit for postMessage. */
export interface AccessHandle {
  board: SharedArrayBuffer
  meters: SharedArrayBuffer
}

const EVERY_ADDRESS = '*'

export class AclFile {
  readonly handle: AccessHandle
  /** What every user of this machine could read or nobody meant, in lines. */
  readonly warnings: string[]
  private readonly path: string
  private readonly board = Board.create()
  private readonly book: MeterBook
  private networks: { holds: (address: string) => boolean; limits: Limits }[] = []

  /** Throws a StartError. */
  constructor(path: string, connectionsMax: number) {
    // The process may change its folder.
    this.path = resolve(path)
    this.book = new MeterBook(ACL_USERS_MAX + ACL_SIGNERS_MAX + connectionsMax + SPARE_METERS)
    this.handle = { board: this.board.buffer, meters: this.book.meters.buffer }
    try {
      this.warnings = this.read()
    } catch (error) {
      throw new StartError(reasonOf(error), EXIT_FAILURE)
    }
  }

  get meters(): Meters {
    return this.book.meters
  }

  /** Reads the file again. Throws an Error of one line, of no effect. */
  reload(): void {
    this.read()
    this.book.limitOrigins(address => this.limitsOf(address) ?? NO_LIMITS)
  }

  /** The meter of who comes from this address; NO_METER: no line limits it. */
  meterOf(address: string): number {
    const limits = this.limitsOf(address)
    if (limits === undefined) return NO_METER
    return this.book.ofOrigin(originOfHost(address), address, limits)
  }

  private limitsOf(address: string): Limits | undefined {
    return this.networks.find(({ holds }) => holds(address))?.limits
  }

  private read(): string[] {
    const text = readText(this.path)
    let acl: Acl
    try {
      acl = readAcl(text)
      this.networks = networksOf(acl)
    } catch (error) {
      throw new Error(`${this.path}:${reasonOf(error)}`)
    }
    const isRoom = this.book.setNamed(limitsOf(acl))
    const posted: Posted = { text, meters: this.book.byName() }
    if (!isRoom || !this.board.publish(JSON.stringify(posted))) {
      throw new Error(`${this.path}: it is too long`)
    }
    return warningsOf(this.path, acl)
  }
}

function readText(path: string): string {
  try {
    if (statSync(path).size > ACL_BYTES_MAX) throw new Error(`larger than ${ACL_BYTES_MAX} bytes`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`--acl: could not read [${path}]: ${reasonOf(error)}`)
  }
}

/** Limits of users and signers that have some. */
function limitsOf({ users, signers }: Acl): Map<string, Limits> {
  const all = [
    ...[...users.values()].map(({ name, limits }) => [`user ${name}`, limits] as const),
    ...[...signers.values()].map(({ name, limits }) => [`token ${name}`, limits] as const),
  ]
  return new Map(all.filter(([, limits]) => Object.values(limits).some(limit => limit > 0)))
}

function networksOf({ addresses }: Acl) {
  return addresses.map(({ network, limits, line }) => {
    if (network === EVERY_ADDRESS) return { holds: () => true, limits }
    const list = new BlockList()
    if (!addNetwork(list, network)) {
      throw new Error(`${line}: "${network}" is no address, no network and not ${EVERY_ADDRESS}`)
    }
    const holds = (address: string) => list.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
    return { holds, limits }
  })
}

function warningsOf(path: string, { users }: Acl): string[] {
  const warnings: string[] = []
  if ((statSync(path).mode & constants.S_IROTH) !== 0) {
    warnings.push(`[${path}] can be read by every user of this machine`)
  }
  const everybody = users.get(DEFAULT_USER)
  if (everybody?.rights.mayWriteAll === true && users.size > 1) {
    warnings.push(`${path}: the user default may write all keys: text clients cannot log in`)
  }
  return warnings
}
