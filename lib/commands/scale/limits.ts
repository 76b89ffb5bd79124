// Bounds of the scaler.

/** Most nodes that a pool is scaled to. */
export const NODES_MAX = 256

/** Longest file of the configuration, and entries of its schedule. */
export const CONFIG_BYTES_MAX = 1024 * 1024
export const SCHEDULE_MAX = 64

/** Words of a command, and bytes of what it prints. */
export const COMMAND_WORDS_MAX = 256
export const COMMAND_OUTPUT_BYTES_MAX = 1024 * 1024

/** Looks that are missed after which what was seen before counts no more. */
export const LOOKS_MISSED_MAX = 3

/** Renewals of a lease per TTL, and the share of it that is left when it counts as lost. */
export const LEASE_RENEWALS = 3
export const LEASE_MARGIN = 1 / 6

/** How often a standby asks whether it may act, on one host. */
export const STANDBY_MS = 1000

/** Lookups behind an estimate of the miss-ratio curve that is believed. */
export const CURVE_LOOKUPS_MIN = 10_000

/** How long nodes have to be missing before what is there is the new number. */
export const MISSING_MS_MIN = 60_000

/** How often moving items is tried again at once, and the first pause, which doubles. */
export const MOVE_ROUNDS_MAX = 3
export const MOVE_REST_MS = 2000
