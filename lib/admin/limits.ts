// Bounds of the admin listener.

import { KIB } from '../bytes/units.ts'

/** Requests in progress at the same time; more get 503. */
export const ADMIN_REQUESTS_MAX = 16

/** Event streams at the same time, of samples and of watched lines; more get 503. */
export const ADMIN_LISTENERS_MAX = 16

/** Most bytes that may wait for a listener that does not read; then it is dropped. */
export const LISTENER_BYTES_MAX = 256 * KIB

/** Connections at the same time; more are closed. */
export const ADMIN_CONNECTIONS_MAX = 64

/** How long a peer may take to send its request. */
export const ADMIN_REQUEST_MS_MAX = 5000

/** How long a connection without a request stays open. */
export const ADMIN_IDLE_MS_MAX = 15_000

/** How long an answer may wait for a peer that does not read it. */
export const ADMIN_SEND_MS_MAX = 15_000

/** Longest header of a request, bytes. */
export const ADMIN_HEADER_BYTES_MAX = 8 * KIB

/** Time between two samples, shared by all listeners. */
export const SAMPLE_MS = 1000

/** Samples between two reports of hot keys, prefixes and the like. */
export const DETAIL_EVERY = 5

/** Times of requests are those of this many samples. */
export const LATENCY_WINDOW_SAMPLES = 10

/** Most cells in the picture of all pages. */
export const MAP_CELLS_MAX = 4096

/** Most rows in a page of connections. */
export const CONNECTION_ROWS_MAX = 50

/** Bytes of a value that a look-up shows. */
export const VALUE_SHOWN_BYTES_MAX = 4 * KIB

/** Time between two looks for watched lines, and most of them each time. */
export const WATCH_MS = 500
export const WATCH_LINES_MAX = 50
