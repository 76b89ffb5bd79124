// Bounds that several files of the protocols share, and what must hold between them.

import assert from 'node:assert/strict'
import { KIB, MIB } from '../bytes/units.ts'

/** Without a newline in this many bytes only `get` and `gets` may go on (memcached: 2048). */
export const LINE_BYTES_MAX = 2048

/** memcached ignores at most this many spaces before a long get. */
export const LINE_SPACES_MAX = 100

/** Longest value that a text command may name, bytes: 2^31 less one and its line end. */
export const VALUE_BYTES_MAX = 2 ** 31 - 3

/** Shorter values are waited for; longer ones go into their item as they come. */
export const STREAM_VALUE_BYTES_MIN = 4 * KIB

/** Words of a command line that are told apart; memcached's tokenizer has 24 with the end mark. */
export const TOKENS_MAX = 23

/** Words of a meta command, the command and its key among them. */
export const META_WORDS_MAX = 20

/** Longest opaque of a meta command, its letter included. */
export const OPAQUE_BYTES_MAX = 32

/** Users of a password file, and bytes of one of its lines (memcached: 255). */
export const AUTH_USERS_MAX = 1024
export const AUTH_LINE_BYTES_MAX = 255
export const AUTH_FILE_BYTES_MAX = MIB

/** Longest name and password that a peer's claim is looked at for; a longer one is wrong. */
export const AUTH_CLAIM_BYTES_MAX = 2 * KIB

/** One read from a socket, and one write to it, bytes. Each worker reuses one buffer of each. */
export const READ_BYTES = 64 * KIB

/** What is left of one read goes before the next in the same buffer, up to so long. */
export const READ_REST_BYTES_MAX = 16 * KIB

/** The reply buffer of a thread, bytes. */
export const REPLY_BYTES = 64 * KIB

/** What TLS adds to so much: a header, a tag, an explicit nonce or padding to each of its records, an alert. */
export const SEAL_BYTES_MAX = KIB

/** Values of a reply, or parts of them, that are sent from where they are stored, and their bytes. */
export const INSERTS_MAX = 64
export const INSERTS_BYTES_MAX = MIB

/** A socket reads into a value's own place while at least so much of it is to come. */
export const DIRECT_READ_BYTES_MIN = 8 * KIB

/**
 * Room for everything in a reply around a value: `VALUE key flags bytes cas`, line ends, `END`, or
 * `VA` and all that a meta command may ask for, its key in base64 among it.
 */
export const REPLY_FRAME_BYTES_MAX = 640

/**
 * Values up to this size are copied into the reply at once; longer ones are held, and sent from where
 * they are stored. That costs 0.7 us more for 2 KiB, 0.5 us more for 16 KiB, and as much for 32 KiB.
 */
export const INLINE_VALUE_BYTES_MAX = 32 * KIB

assert(REPLY_BYTES >= 1.5 * INLINE_VALUE_BYTES_MAX + REPLY_FRAME_BYTES_MAX)
assert(META_WORDS_MAX < TOKENS_MAX, 'one word too many is seen')
assert(READ_BYTES > LINE_BYTES_MAX + LINE_SPACES_MAX)
// A line, or a line and a value that is not read to its place.
assert(READ_REST_BYTES_MAX > LINE_BYTES_MAX + LINE_SPACES_MAX + DIRECT_READ_BYTES_MIN)
assert(AUTH_CLAIM_BYTES_MAX > 2 * AUTH_LINE_BYTES_MAX)
