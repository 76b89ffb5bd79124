// Bounds that several files of the server share.

import { KIB, MIB } from '../bytes/units.ts'

/** How long a TLS handshake may take. */
export const TLS_HANDSHAKE_MS_MAX = 10_000

/** The longest file of TLS, and the longest content of all together. */
export const TLS_FILE_BYTES_MAX = MIB
export const KEYRING_BYTES_MAX = 4 * MIB

/** How long a TLS session can be resumed; the key that seals sessions is replaced as often. */
export const TLS_SESSION_S_MAX = 7200
export const TLS_TICKET_KEY_BYTES = 48

/**
 * Buffers that the kernel may receive into, and the size of each: as memcached's for long lines.
 */
export const URING_BUFFERS = 64
export const URING_BUFFER_BYTES = 16 * KIB

/** Input that is read and discarded while a line is closing, until its replies are sent. */
export const FAREWELL_BYTES_MAX = 64 * KIB

/** How long a line waits for the peer to close its side too, once all is sent. */
export const FAREWELL_MS_MAX = 1000

/**
 * A short read: a request and its value are complete in it, or it is the beginning of a long value.
 */
export const SHORT_READ_BYTES = KIB

/** How often sampled keys are evaluated: the buffer of samples must not fill in between. */
export const EVALUATION_MS = 100

/** A last snapshot may take this long before the process ends without it. */
export const SNAPSHOT_ON_EXIT_MS_MAX = 30 * 60_000
