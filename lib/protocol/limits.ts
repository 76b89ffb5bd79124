// Bounds that several files of the protocols share, and the relations between them.

import assert from 'node:assert/strict'
import { KIB, MIB } from '../bytes/units.ts'

/** Lines of other commands than `get` and `gets` may not be longer (memcached: 2048). */
export const LINE_BYTES_MAX = 2048

/** memcached ignores at most this many spaces before a long get. */
export const LINE_SPACES_MAX = 100

/** Longest value in a text command, bytes: 2^31 - 1 less the line end. */
export const VALUE_BYTES_MAX = 2 ** 31 - 3

/**
 * Shorter values are buffered until complete; longer ones are written to their item as they arrive.
 */
export const STREAM_VALUE_BYTES_MIN = 4 * KIB

/** Most words of a command line; memcached's tokenizer has 24 with the end mark. */
export const TOKENS_MAX = 23

/** Most words of a meta command, including the command and its key. */
export const META_WORDS_MAX = 20

/** Longest opaque of a meta command, its letter included. */
export const OPAQUE_BYTES_MAX = 32

/** Most users of a password file, and longest line (memcached: 255). */
export const AUTH_USERS_MAX = 1024
export const AUTH_LINE_BYTES_MAX = 255
export const AUTH_FILE_BYTES_MAX = MIB

/** Longest claim of a peer that is read; a longer one is wrong. */
export const AUTH_CLAIM_BYTES_MAX = 2 * KIB

/** Longest read from a socket, bytes. Each worker reuses one buffer. */
export const READ_BYTES = 64 * KIB

/** Most bytes left of one read that are put before the next read in the same buffer. */
export const READ_REST_BYTES_MAX = 16 * KIB

/** The reply buffer of a thread, bytes. */
export const REPLY_BYTES = 64 * KIB

/**
 * A turn of one connection: what runs before others have theirs. It ends after this many requests
 * (-R), after about this many bytes of replies, and after this time. memcached's ends after 20
 * requests. A turn costs 3 us beyond its requests, so it may not be much shorter.
 */
export const TURN_REQUESTS_MAX = 256
export const TURN_REPLY_BYTES = 48 * KIB
export const TURN_MS_MAX = 0.5

/** A turn looks at the clock after this many requests, and after each that may take long. */
export const TURN_LOOK_REQUESTS = 32

/** Keys of one get, bytes, that are served between two looks. */
export const TURN_LOOK_KEYS_BYTES = 4 * KIB

/** Most that TLS adds to it: header, tag, and nonce or padding of each record, and an alert. */
export const SEAL_BYTES_MAX = KIB

/** Most values of a reply, or parts of them, that are sent from their arena, and their bytes. */
export const INSERTS_MAX = 64
export const INSERTS_BYTES_MAX = 256 * KIB

/**
 * After this many bytes of such values, of all peers of a thread, others have their turn. The
 * kernel copies a value while the thread waits, 1 MiB in up to a millisecond.
 */
export const ROUND_INSERTS_BYTES = 512 * KIB

/**
 * Values that the sessions of a thread copy to send them, because too much is held, bytes. A get
 * beyond it gets an error.
 */
export const COPIES_BYTES_MAX = 32 * MIB

/**
 * How often an upload waits while others keep too much memory, and how long at first and at most,
 * ms. Each wait is twice as long as the one before: a second and a half in all.
 */
export const UPLOAD_WAITS_MAX = 64
export const UPLOAD_WAIT_MS_MIN = 1
export const UPLOAD_WAIT_MS_MAX = 25

/** A socket reads directly into a value's place while at least this much of it is missing. */
export const DIRECT_READ_BYTES_MIN = 8 * KIB

/**
 * Room for everything around a value in a reply: `VALUE key flags bytes cas`, line ends, `END`, or
 * `VA` and all that a meta command may request, including a base64 key.
 */
export const REPLY_FRAME_BYTES_MAX = 640

/**
 * Values up to this size are copied into the reply at once; longer ones are held and sent from
 * their arena. Holding costs 0.7 us more for 2 KiB, 0.5 us more for 16 KiB, and the same for 32
 * KiB.
 */
export const INLINE_VALUE_BYTES_MAX = 32 * KIB

assert(REPLY_BYTES >= 1.5 * INLINE_VALUE_BYTES_MAX + REPLY_FRAME_BYTES_MAX)
assert(META_WORDS_MAX < TOKENS_MAX, 'one word too many is seen')
assert(READ_BYTES > LINE_BYTES_MAX + LINE_SPACES_MAX)
// A line, or a line and a value that is not read directly into its place.
assert(READ_REST_BYTES_MAX > LINE_BYTES_MAX + LINE_SPACES_MAX + DIRECT_READ_BYTES_MIN)
assert(AUTH_CLAIM_BYTES_MAX > 2 * AUTH_LINE_BYTES_MAX)
