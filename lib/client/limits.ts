// Bounds that several files of the client share.

import { KIB, MIB } from '../bytes/units.ts'

/**
 * Pending requests of one connection, their bytes, and the time for authentication.
 */
export const CLIENT_PENDING_MAX = 65_536
export const CLIENT_PENDING_BYTES_MAX = 64 * MIB
export const CLIENT_AUTH_MS_MAX = 10_000

/** Most connections to one server. */
export const CLIENT_CONNECTIONS_MAX = 16

/** Silence on a connection after which the system asks whether the peer is still there. */
export const CLIENT_KEEP_ALIVE_MS = 10_000

/** Failures in a row that eject a server by default, and its first and longest rest. */
export const CLIENT_FAILURES = 3
export const CLIENT_REST_MS = 1000
export const CLIENT_REST_MS_MAX = 60_000

/**
 * How long after a change previous owners are asked by default, and how many changes are
 * remembered.
 */
export const CLIENT_WARMUP_MS = 60_000
export const WARMUP_VIEWS_MAX = 4

/** Items that a drain moves at the same time, what one may take, and how often it is tried. */
export const DRAIN_AT_ONCE = 64
export const DRAIN_AT_ONCE_MAX = 4096
export const DRAIN_TIMEOUT_MS = 10_000
export const DRAIN_TRIES_MAX = 3

/**
 * Longest line of an administrative reply: all nodes of a cluster, or a dumped item.
 */
export const TALK_LINE_BYTES_MAX = 64 * KIB
export const DRAIN_PROGRESS_MS = 1000

/** Default polling intervals of sources, and the share by which they vary. */
export const DNS_INTERVAL_MS = 30_000
export const CONFIG_INTERVAL_MS = 60_000
export const DISCOVERY_JITTER = 0.1

/** Pause before a retry after a failure. */
export const DISCOVERY_RETRY_MS = 1000
