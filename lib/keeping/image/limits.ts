// Bounds of images.

import { KIB, MIB } from '../../bytes/units.ts'

/** The longest block: what one damaged byte costs at most, beside the items that span it. */
export const BLOCK_BYTES_MAX = MIB

/** The header is padded to this length. */
export const HEADER_BYTES = 64 * KIB

/** How often a load that never ended is tried again before the image is given up. */
export const LOADS_MAX = 3

/** How long a full or an empty pipe is left alone before it is tried again. */
export const PIPE_SLEEP_MS = 0.05
