// Bounds that several files of the client share.

import { KIB, MIB } from '../bytes/units.ts'

/**
 * Requests that may wait on one connection of a client, their bytes, and the wait for
 * authentication.
 */
export const CLIENT_PENDING_MAX = 65_536
export const CLIENT_PENDING_BYTES_MAX = 64 * MIB
export const CLIENT_AUTH_MS_MAX = 10_000

/** Failures in a row that eject a server by default, its first rest and its longest. */
export const CLIENT_FAILURES = 3
export const CLIENT_REST_MS = 1000
export const CLIENT_REST_MS_MAX = 60_000

/**
 * After a change of servers: how long owners before it are asked by default, and of how many
 * changes.
 */
export const CLIENT_WARMUP_MS = 60_000
export const WARMUP_VIEWS_MAX = 4

/** Items that a drain moves at the same time, what one may take, and how often it is tried. */
export const DRAIN_AT_ONCE = 64
export const DRAIN_AT_ONCE_MAX = 4096
export const DRAIN_TIMEOUT_MS = 10_000
export const DRAIN_TRIES_MAX = 3

/**
 * Longest line of what a server says about itself: all nodes of a cluster, or a key and what there
 * is to it.
 */
export const TALK_LINE_BYTES_MAX = 64 * KIB
export const DRAIN_PROGRESS_MS = 1000

/** How often sources of servers are asked by default, and how much that varies, a share. */
export const DNS_INTERVAL_MS = 30_000
export const CONFIG_INTERVAL_MS = 60_000
export const DISCOVERY_JITTER = 0.1

/** After a failure they are asked again this soon. */
export const DISCOVERY_RETRY_MS = 1000
