// Bounds that several files of the server share.

import { KIB, MIB } from '../bytes/units.ts'

/** A TLS handshake that is not done by then is given up. */
export const TLS_HANDSHAKE_MS_MAX = 10_000

/** Each of the files that TLS needs, and what all threads keep of them. */
export const TLS_FILE_BYTES_MAX = MIB
export const KEYRING_BYTES_MAX = 4 * MIB

/** Sessions are resumed for two hours; the key that seals them is replaced as often. */
export const TLS_SESSION_S_MAX = 7200
export const TLS_TICKET_KEY_BYTES = 48

/** Buffers that the kernel may read into, and the bytes of each: as memcached's, for long lines. */
export const URING_BUFFERS = 64
export const URING_BUFFER_BYTES = 16 * KIB

/** What is read of a peer that has said its last, until its replies are sent. */
export const FAREWELL_BYTES_MAX = 64 * KIB

/** How long a peer behind TLS may take for its farewell, once it was sent all. */
export const FAREWELL_MS_MAX = 1000

/** After a value of at least this length a connection reads so little first: the next may be as long. */
export const SHORT_READ_VALUE_BYTES_MIN = 64 * KIB
export const SHORT_READ_BYTES = KIB
