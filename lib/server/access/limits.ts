// Bounds of access control in the server.

import { MIB } from '../../bytes/units.ts'

/** Most addresses and networks of --allow. Each is compared with a new connection's. */
export const ALLOW_ENTRIES_MAX = 1024
export const ALLOW_FILE_BYTES_MAX = MIB

/** Passwords of one thread that are checked at once, on threads of libuv, and that wait for it. */
export const CHECKS_AT_ONCE = 2
export const CHECKS_WAITING_MAX = 256

/** Right passwords that one thread remembers. */
export const REMEMBERED_MAX = 1024

/** Meters for addresses, beyond one for each connection: of datagrams, and of who was here. */
export const SPARE_METERS = 1024
