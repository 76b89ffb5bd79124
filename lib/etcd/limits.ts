// Bounds of etcd, shared by the daemon that registers there and the client that looks there.

import { MIB } from '../bytes/units.ts'

/**
 * Where daemons are found in etcd by default, and how long an entry outlives a daemon that died.
 */
export const ETCD_PREFIX = '/memslab/'
export const ETCD_TTL_S = 10
export const ETCD_TTL_S_MIN = 2
export const ETCD_TTL_S_MAX = 3600

/** A call to one endpoint, when to try again, and what leaving may take. */
export const ETCD_TIMEOUT_MS = 5000
export const ETCD_RETRY_MS = 1000
export const ETCD_LEAVE_MS = 2000

/** Between two watches: a proxy may end each of them at once. */
export const ETCD_REST_MS = 100
export const ETCD_ENDPOINTS_MAX = 16
export const ETCD_REPLY_BYTES_MAX = 64 * MIB
