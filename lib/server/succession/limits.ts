// Bounds of an upgrade.

/** How long the new process may take until it could serve. */
export const UPGRADE_START_MS_MAX = 60_000

/** How long the workers may take to come to the end of their turns while clients wait. */
export const GATHER_MS_MAX = 2_000

/** How long clients wait at most: this, and more for each GiB of content. */
export const HANDOVER_MS_MIN = 3_000
export const HANDOVER_MS_PER_GIB = 4_000
/** Where the memory options differ, and the items go over one by one. */
export const CARRIED_MS_PER_GIB = 60_000

/** Workers give up a little later than the main thread, which is the one to decide. */
export const HANDOVER_SLACK_MS = 1_000

/** Streams that the content goes through at the same time. */
export const STREAMS_MAX = 8

/** How long the new process may take from its order to serve until it does. */
export const TAKE_MS_MAX = 10_000

/** How long the old process waits for its connections to close. */
export const LEAVE_MS_MAX = 10_000

/** How long a load at the start (-e) may take: this, and more for each GiB of the file. */
export const LOAD_MS_MIN = 60_000
export const LOAD_MS_PER_GIB = 240_000
