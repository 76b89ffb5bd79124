// Bounds of etcd, shared by the daemon, which registers there, and the client, which discovers
// there.

import { MIB } from '../bytes/units.ts'

/**
 * The default prefix of keys in etcd, and how long the entry of a dead daemon stays.
 */
export const ETCD_PREFIX = '/memslab/'
export const ETCD_TTL_S = 10
export const ETCD_TTL_S_MIN = 2
export const ETCD_TTL_S_MAX = 3600

/** Longest call to one endpoint, time before a retry, longest deregistration. */
export const ETCD_TIMEOUT_MS = 5000
export const ETCD_RETRY_MS = 1000
export const ETCD_LEAVE_MS = 2000

/** Pause between two watches: a proxy may end each of them at once. */
export const ETCD_REST_MS = 100
export const ETCD_ENDPOINTS_MAX = 16
export const ETCD_REPLY_BYTES_MAX = 64 * MIB
