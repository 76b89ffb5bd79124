// Config -> the parts of a scaler: driver, announcer, seat, and what looks and moves.

import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { ConnectionOptions } from '../../client/nodes/connection.ts'
import { EtcdGateway } from '../../etcd/gateway.ts'
import type { Access } from '../servers/stats-link.ts'
import { HostSeat } from './acting/host-lock.ts'
import { LeaseSeat } from './acting/lease.ts'
import type { Seat } from './acting/seat.ts'
import { type Announcer, NOBODY } from './announce/announcer.ts'
import { Endpoint } from './announce/endpoint.ts'
import { Entries } from './announce/entries.ts'
import { CommandAnnouncer } from './announce/told-by-command.ts'
import { Withdrawals } from './announce/withdrawals.ts'
import type { Config } from './config/schema.ts'
import { CommandDriver } from './drivers/commands.ts'
import { DesiredDriver } from './drivers/desired.ts'
import type { Driver } from './drivers/driver.ts'
import { ProcessesDriver, type Program } from './drivers/processes.ts'
import { Mover } from './pool/mover.ts'
import { Watch } from './pool/node-watch.ts'
import { SYSTEM_CLOCK } from './scale-clock.ts'
import type { Parts } from './scaler.ts'

/** Always acts: it changes nothing, or nobody else could. */
const ALONE: Seat = { term: () => new AbortController().signal, close: async () => {} }

export interface PartsOptions {
  access: Access
  /** How to start a daemon. */
  program: Program
  /** It only decides, and takes no seat. */
  isDry: boolean
  tell(line: string): void
}

/** Throws a RangeError for endpoints of etcd that are none. */
export function partsOf(config: Config, options: PartsOptions): Parts {
  const { access, program, isDry, tell } = options
  const etcd = config.etcd === undefined ? null : new EtcdGateway(config.etcd.endpoints)
  const connecting = connectionsOf(access)
  return {
    clock: SYSTEM_CLOCK,
    driver: driverOf(config, etcd, program),
    announcer: announcerOf(config, etcd, connecting),
    seat: isDry ? ALONE : seatOf(config, etcd, tell),
    watch: new Watch(access),
    mover: new Mover({ ...connecting, kind: config.ring, atOnce: config.move, rate: config.warm }),
    tell,
  }
}

function driverOf(
  { driver, etcd: place, ...config }: Config,
  etcd: EtcdGateway | null,
  program: Program,
): Driver {
  if (driver.processes !== undefined) return new ProcessesDriver(driver.processes, program)
  if (driver.command !== undefined) return new CommandDriver(driver.command, config)
  if (driver.etcd === undefined || place === undefined || etcd === null)
    throw new RangeError('no driver')
  return new DesiredDriver(etcd, place, new Withdrawals(etcd, place), driver.etcd)
}

function announcerOf(
  { announce, etcd: place }: Config,
  etcd: EtcdGateway | null,
  connecting: Connecting,
): Announcer {
  const { by, command, timeout } = announce
  if (by === 'config') return new Endpoint(connecting)
  if (by === 'command') return new CommandAnnouncer(command, timeout)
  if (etcd === null || place === undefined || by === 'none') return NOBODY
  return by === 'etcd' ? new Entries(etcd, place.prefix) : new Withdrawals(etcd, place)
}

function seatOf(
  { etcd: place, driver }: Config,
  etcd: EtcdGateway | null,
  tell: (line: string) => void,
): Seat {
  if (etcd !== null && place !== undefined) {
    const name = `${hostname()}:${process.pid}`
    return new LeaseSeat(etcd, { key: `${place.state}leader`, name, ttlMs: place.ttl }, tell)
  }
  if (driver.processes !== undefined) return new HostSeat(resolve(driver.processes.dir), tell)
  return ALONE
}

type Connecting = Pick<ConnectionOptions, 'tls' | 'auth'>

function connectionsOf({ login, ca }: Access): Connecting {
  const [user = '', ...password] = login?.split(':') ?? []
  return {
    ...(login === undefined ? {} : { auth: { user, password: password.join(':') } }),
    ...(ca === undefined ? {} : { tls: ca === '' ? {} : { ca } }),
  }
}
