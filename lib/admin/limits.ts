// Bounds of the admin listener.

import { KIB } from '../bytes/units.ts'

/** Requests in progress at the same time; more get 503. */
export const ADMIN_REQUESTS_MAX = 16

/** Connections at the same time; the kernel lets more of them wait. */
export const ADMIN_CONNECTIONS_MAX = 64

/** How long a peer may take to send its request. */
export const ADMIN_REQUEST_MS_MAX = 5000

/** How long a connection without a request stays open. */
export const ADMIN_IDLE_MS_MAX = 15_000

/** How long an answer may wait for a peer that does not read it. */
export const ADMIN_SEND_MS_MAX = 15_000

/** Longest header of a request, bytes. */
export const ADMIN_HEADER_BYTES_MAX = 8 * KIB
