// Bounds of access control in the server.

import { MIB } from '../../bytes/units.ts'

/** Most addresses and networks of --allow. Each is compared with a new connection's. */
export const ALLOW_ENTRIES_MAX = 1024
export const ALLOW_FILE_BYTES_MAX = MIB
