// Versions of items, as applications hold them. A server counts its changes (CAS), and two servers,
// or one before and after a restart, may give the same number to different items. So a version
// names the server and its life too:
//
//   bits  127..96  the server      crc32 of its name
//          95..64  its life        crc32 of its process id and of when it started
//           63..0  its CAS
//
// All clients of a pool compute the same, so that a version can go from one process to another. A
// server that does not say when it started lives as long as a connection.

import { randomInt } from 'node:crypto'
// A default import, because an old Node has no `crc32` (node-version.ts).
import zlib from 'node:zlib'

const CAS_BITS = 64n
const LIFE_BITS = 32n

/** The first number that is no version. */
export const VERSION_END = 2n ** 128n
const UINT_32_END = 2 ** 32

/** The life of a server, as one connection to it knows it. */
export class Life {
  private readonly server: string
  private readonly stats: (timeoutMs: number) => Promise<ReadonlyMap<string, string>>
  /** Its number, the server's in the upper half; undefined until it was asked for. */
  known: bigint | undefined
  private asked: Promise<bigint> | undefined

  constructor(server: string, stats: (timeoutMs: number) => Promise<ReadonlyMap<string, string>>) {
    this.server = server
    this.stats = stats
  }

  /** Asks the server once. Never rejects: a life that cannot be found out is like no other. */
  find(timeoutMs: number): Promise<bigint> {
    this.asked ??= this.ask(timeoutMs)
    return this.asked
  }

  private async ask(timeoutMs: number): Promise<bigint> {
    const rows = await this.stats(timeoutMs).catch(() => new Map<string, string>())
    const [pid, timeS, uptimeS] = ['pid', 'time', 'uptime'].map(name => Number(rows.get(name)))
    const bornS = timeS - uptimeS
    const mark = Number.isNaN(bornS) ? randomInt(UINT_32_END) : zlib.crc32(`${pid} ${bornS}`)
    this.known = (markOf(this.server) << LIFE_BITS) | BigInt(mark)
    return this.known
  }
}

/** The version of an item with this CAS, from a server in this life. */
export function versionOf(cas: bigint, life: bigint): bigint {
  return (life << CAS_BITS) | cas
}

export function casOf(version: bigint): bigint {
  return BigInt.asUintN(Number(CAS_BITS), version)
}

export function lifeOf(version: bigint): bigint {
  return version >> CAS_BITS
}

/** Whether a server of this name gave this version, in any life. */
export function isOf(version: bigint, server: string): boolean {
  return version >> (CAS_BITS + LIFE_BITS) === markOf(server)
}

function markOf(server: string): bigint {
  return BigInt(zlib.crc32(server))
}
