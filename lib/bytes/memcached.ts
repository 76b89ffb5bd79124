// Facts of the memcached protocol that every floor shares, from protocol.txt.

import { GIB, KIB } from './units.ts'

/** The memcached whose protocol this is: clients choose features by the reply to `version`. */
export const PROTOCOL_VERSION = '1.6.45'

/** An exptime up to this is relative, seconds; above it is a Unix time (protocol.txt). */
export const RELATIVE_S_MAX = 60 * 60 * 24 * 30

/** Longest key, bytes (protocol.txt). */
export const KEY_BYTES_MAX = 250

/** Longest item that -I may allow, bytes. */
export const ITEM_BYTES_MAX = GIB

/** Rows of `stats` that count requests that are neither gets nor sets. */
export const OTHER_REQUESTS: readonly string[] = [
  'cmd_touch',
  'delete_hits',
  'delete_misses',
  'incr_hits',
  'incr_misses',
  'decr_hits',
  'decr_misses',
]

/** Longest list of a cluster's nodes in `config get cluster`, bytes. */
export const CLUSTER_BYTES_MAX = 16 * KIB
