// Opens the admin listener of lib/admin for this daemon, where --admin asks for it: with its
// access control, its certificates, and what the main thread knows of the workers.

import { Admin } from '../admin/admin.ts'
import type { DaemonView } from '../admin/daemon-view.ts'
import type { SnapshotFacts } from '../admin/metrics/facts.ts'
import { Cache } from '../engine/cache.ts'
import type { ListenAddress } from '../options/options.ts'
import { Credentials } from '../protocol/auth/credentials.ts'
import { Reply } from '../protocol/reply.ts'
import { descriptorOf } from './line/node-handle.ts'
import type { Inheritance, PassedListener } from './listen/address.ts'
import type { Roster } from './roster.ts'
import { say } from './system/log.ts'
import { ThreadHealth } from './thread-health.ts'
import { contextOptions } from './tls/certificates.ts'
import { Keyring, type TlsHandle } from './tls/keyring.ts'
import { type Guards, hostOf } from './worker-host.ts'
import type { Workers } from './workers.ts'

/** How soon new connections get certificates that were read again. */
const RENEW_MS = 1000

/** How often the main thread tells of its health, as workers do. */
const HEALTH_MS = 1000

const LOOPBACK = /^(?:127\.|::1$|localhost$)/

export interface AdminListener {
  /** As in the line about where the daemon listens: `admin:127.0.0.1:9150`. */
  places: string[]
  /** What another process needs to go on with it. */
  passed(): PassedListener
  close(): Promise<void>
}

/** What the admin listener needs of a daemon. */
export interface AdminParts {
  workers: Workers
  roster: Roster
  tls: TlsHandle | null
  /** The users of --admin-auth; null: everybody may see it. */
  users: SharedArrayBuffer | null
  /** Metrics by slab class too. */
  slabMetrics: boolean
  /** Operators may change what the daemon holds and does. */
  mayWrite: boolean
  isClosing(): boolean
  /** Of another process, whose listening sockets this one has. */
  heritage: Inheritance | undefined
  /** Whether etcd has this daemon, 1 or 0; null: it does not register. */
  registered(): number | null
  /** Share of the restore that is done; null: none is under way. */
  restored(): number | null
  /** Null: it writes no snapshots. */
  snapshots(): SnapshotFacts | null
}

/** Rejects with Node's error where it cannot listen, with the `place` where. */
export async function listenAdmin(
  address: ListenAddress,
  parts: AdminParts,
  guards: Guards | null,
): Promise<AdminListener> {
  const { users } = parts
  const tls = address.tls === 'none' ? null : parts.tls
  const admin = await Admin.listen(
    {
      host: address.host,
      port: address.port,
      descriptor: parts.heritage?.takeListener('admin', address.host, address.port)?.descriptor,
      credentials: users === null ? null : new Credentials(users),
      tls: tls === null ? null : contextOf(tls),
      slabMetrics: parts.slabMetrics,
    },
    watchedBy(parts, guards),
  ).catch((error: Error) => {
    throw Object.assign(error, { place: `the admin address ${placeOf(address)}` })
  })
  const bound = admin.address
  const place = placeOf({ host: bound.address, port: bound.port })
  if (!LOOPBACK.test(bound.address) && (users === null || tls === null)) {
    const missing = users === null ? '--admin-auth' : 'TLS'
    say(`warning: the admin listener on ${place} is open to the network without ${missing}`, 'warn')
  }
  const renewing = tls === null ? undefined : setInterval(renewer(admin, tls), RENEW_MS).unref()
  const { roster } = parts
  const health = new ThreadHealth(roster.countersOf(roster.mainThread))
  const telling = setInterval(() => health.tick(), HEALTH_MS).unref()
  return {
    places: [`admin:${place}`],
    passed: () => {
      // By the host of the options, since the other process looks for that.
      const { host } = address
      return {
        kind: 'admin',
        address: host,
        port: bound.port,
        descriptor: descriptorOf(admin.server),
      }
    },
    close: () => {
      clearInterval(renewing)
      clearInterval(telling)
      health.close()
      return admin.close()
    },
  }
}

function watchedBy(parts: AdminParts, guards: Guards | null): DaemonView {
  const { workers, roster, users, mayWrite, isClosing, registered, restored, snapshots } = parts
  const task = workers.mainThreadTask()
  // Its own, since a host writes to the cache that it has.
  const cache = Cache.attach(task.cache, task.holder)
  // This thread alone hears of the death of a worker, but not while it waits for its lock.
  cache.watchLocks(holder => workers.recoverEnded(holder))
  const { auth, access, listeners } = task.settings
  const knowsClients = auth !== null || access !== null
  const clientsLogIn = knowsClients || listeners.some(({ peerCheck }) => peerCheck === 'require')
  const tellsKeys = users !== null || !clientsLogIn
  return {
    host: hostOf(task, cache, roster, new Reply(), guards),
    places: listeners.map(({ address }) => address),
    tellsKeys,
    mayWrite: mayWrite && tellsKeys,
    isClosing,
    restored,
    main: {
      workersReady: () => workers.readyCount(),
      workersWithUring: () => workers.uringCount(),
      usesUring: worker => workers.usesUring(worker),
      loadOf: worker => roster.loadOf(worker),
      mainThread: roster.mainThread,
      counterOf: (worker, counter) => roster.countersOf(worker)[counter],
      registered,
      snapshots,
    },
  }
}

function placeOf({ host, port }: Pick<ListenAddress, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function contextOf({ settings, keyring }: TlsHandle) {
  const found = new Keyring(keyring).read()
  if (found === null) throw new Error('the certificates of the admin listener cannot be read')
  return contextOptions(settings, found.certificates)
}

function renewer(admin: Admin, tls: TlsHandle): () => void {
  const keyring = new Keyring(tls.keyring)
  let { version } = keyring
  return () => {
    if (keyring.version === version) return
    version = keyring.version
    admin.renew(contextOf(tls))
  }
}
