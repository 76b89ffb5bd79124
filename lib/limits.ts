// Every bound of the engine and the protocols, and the checks between them. Bounds on options stand
// with the options. Nothing here depends on anything else in the project.

import assert from 'node:assert/strict'

export const KIB = 1024
export const MIB = 1024 * KIB
export const GIB = 1024 * MIB

/** The memcached whose protocol this is: clients choose features by what `version` says. */
export const PROTOCOL_VERSION = '1.6.45'

/** An exptime up to this is counted from now, seconds; above it is a Unix time (protocol.txt). */
export const RELATIVE_S_MAX = 60 * 60 * 24 * 30

/** Which items go first when memory is wanted: names of the values of Eviction (lru.ts). */
export const EVICTIONS = ['lru', 'segmented', 'worth'] as const
export type EvictionName = (typeof EVICTIONS)[number]

/** Longest key, bytes (protocol.txt). */
export const KEY_BYTES_MAX = 250

/** Data bytes of one arena. Word indices and byte addresses stay small integers below 2 GiB. */
export const ARENA_DATA_BYTES_MAX = 1536 * MIB
/** Bytes of a whole arena, its tables included. */
export const ARENA_BYTES_MAX = 2 * GIB
export const ARENA_DATA_BYTES_MIN = 4 * MIB
export const ARENAS_MAX = 1024

/**
 * The memory limit may be raised to so many times what it is at the start, or to so many bytes, as far
 * as the arenas reach. Memory that nobody touches costs address space only.
 */
export const MEMORY_HEADROOM = 4
export const MEMORY_RESERVED_BYTES_MIN = GIB
/** It may be lowered to so many pages for items in each arena. */
export const ARENA_PAGES_MIN = 16

/** A page is about 1/256 of its arena, between these bounds, so that small arenas serve all classes. */
export const PAGE_BYTES_MIN = 64 * KIB
export const PAGE_BYTES_MAX = MIB
export const PAGES_PER_ARENA_MIN = 256
/** Chunks in a page of the largest class; longer items span several chunks. */
export const LARGEST_CHUNKS_PER_PAGE = 2

/** Slab classes are numbered 1..CLASSES_MAX - 1, as in memcached. */
export const CLASSES_MAX = 64
export const ITEM_BYTES_MAX = GIB

/** A number that is copied to an item with more optional words keeps its padding up to this length. */
export const NUMBER_PADDED_BYTES_MAX = 64
/** Longer values have a word for their end even without one: giving them one later copies the item. */
export const ENDLESS_VALUE_BYTES_MAX = 4 * KIB

/** Classes that may be cut for the sizes that come, beside those of -f and -n. */
export const FITTED_CLASSES_MAX = 20
/** Sizes in the ring that such a class is chosen from, and how many allocations apart they are. */
export const FIT_SAMPLES = 256
export const FIT_EVERY = 8
/** Allocations before the first look at them: a small memory is full soon. */
export const FIT_FIRST_TICK = 128
/** What a new class must save of the memory of the sampled items. */
export const FIT_GAIN_MIN = 0.01
/** How much more it must save than the one that is given up for it. */
export const FIT_WORTH_FACTOR = 4
/** A page is given to a class that wants it by one whose coldest item was used so much longer ago. */
export const YIELD_AGE_FACTOR = 1.25
export const YIELD_AGE_S_MIN = 2
/** By worth: the share of a class that new items have to themselves until they are used, percent. */
export const PROBATION_PERCENT = 30
/** Evicted between two looks at what pages are worth: pagefuls, and enough items to judge by. */
export const WORTH_PAGEFULS = 4
export const WORTH_ITEMS = 200
/** How much of a look the next one keeps. */
export const WORTH_FADE = 0.9
/** What an evicted item says of its class, by what one says that was kept. */
export const WORTH_OF_EVICTION = 0.03

/** Buckets of the hash table when it is empty, in all arenas together (memcached's hashpower 16). */
export const HASHPOWER_DEFAULT = 16
export const HASHPOWER_MIN = 6

/** Items looked at from the cold end of a list for one that may be evicted. */
export const VICTIM_TRIES_MAX = 50
/** Pages of a class looked at for one that may be emptied for another class. */
export const PAGE_TRIES_MAX = 64

/**
 * Items kept from being freed at once in one arena: large values in flight, in or out. A peer that asks
 * for one more is told that there is no memory.
 */
export const HOLD_SLOTS_MAX = 4096

/** Buckets of 32 bytes in the size histogram of `-o track_sizes`; longer items count in the last. */
export const SIZE_STEP_BYTES = 32
export const SIZE_SLOTS_MAX = 32768

/** A hit moves an item to the head of its list at most this often, seconds (memcached: 60). */
export const BUMP_INTERVAL_S = 60

/** Chunks that one step of a walk looks at, and items that one look along a list gives. */
export const WALK_STEP_CHUNKS_MAX = 256
export const WALK_LIST_ITEMS_MAX = 10_000
/** One turn of upkeep: how long it works, when the next one comes while there is more to do or not. */
export const UPKEEP_TURN_MS_MAX = 0.3
export const UPKEEP_BUSY_MS = 2
/** When it comes while classes evict. */
export const UPKEEP_PRESSED_MS = 10
export const UPKEEP_IDLE_MS = 100
export const UPKEEP_IDLE_MS_MAX = 500
/** A class is crawled unasked after so many seconds at first, then seldomer while it does not pay. */
export const CRAWL_GAP_S = 5
export const CRAWL_WAIT_STEP_S = 60
export const CRAWL_WAIT_S_MAX = 3600
/** How far ahead a crawl looks for items that will have ended, minutes. */
export const CRAWL_HORIZON_MIN = 60
/** Items that one step of a crawl ends: that takes longer than looking at them. */
export const CRAWL_STEP_RECLAIMS_MAX = 64
/** Longest rest between two turns of a crawl, microseconds. */
export const CRAWL_SLEEP_US_MAX = 1_000_000

/** The memory of what a flush has ended is swept so many seconds after it; items that one step ends. */
export const SWEEP_WAIT_S = 5
export const SWEEP_STEP_RECLAIMS_MAX = 64

/** Items that one step of list balance moves. */
export const BALANCE_STEP_ITEMS_MAX = 64
/** Steps of a page move that a store waits for before it empties a page at once. */
export const ROOM_STEPS_MAX = 4096
/** Pages that it gives up to empty, for items of theirs are held. */
export const ROOM_GIVEN_UP_MAX = 8
/** Chunks of a moving page that one step looks at, and bytes that it copies, at least one chunk. */
export const MOVE_STEP_CHUNKS_MAX = 64
export const MOVE_STEP_BYTES_MAX = 128 * KIB
/** A page that held items keep from moving is left after so many seconds. */
export const MOVE_WAIT_S_MAX = 5
/** A class gives a page to older ones above so many pages, and to the pool with so many spare. */
export const AUTOMOVE_PAGES_MIN = 2
export const AUTOMOVE_SPARE_PAGES = 2.5
/** Longest window over which ages and evictions are watched, seconds. */
export const AUTOMOVE_WINDOW_S_MAX = 300

/** Spins before a thread sleeps on an arena's lock, the longest sleep, and when it gives up. */
export const LOCK_SPINS_MAX = 200
export const LOCK_SLEEP_MS_MAX = 50
export const LOCK_WAIT_MS_MAX = 30_000
/** Between two steps of long work the lock is left to those who wait for it, so long at most. */
export const LOCK_YIELD_MS_MAX = 0.1
/** Thread ids that the cache gives out begin here; those below are for threads that bring their own. */
export const GIVEN_HOLDER_MIN = 2 ** 29
/** Clearing up after a dead thread waits this long for an arena before it leaves it for later. */
export const RECOVER_WAIT_MS_MAX = 100

/** A worker that takes no connections this long after its start is given up and started again. */
export const WORKER_START_MS_MAX = 60_000
/** After so many workers, one after the other, that did not live this long, the next one waits. */
export const WORKER_STEADY_MS = 2000
export const WORKER_DEATHS_MAX = 20
export const WORKER_DELAY_MS = 1000

/** What connections may take to end with the thread that serves them. */
export const SERVICE_CLOSE_MS_MAX = 2000

/** A TLS handshake that is not done by then is given up. */
export const TLS_HANDSHAKE_MS_MAX = 10_000
/** Each of the files that TLS needs, and what all threads keep of them. */
export const TLS_FILE_BYTES_MAX = MIB
export const KEYRING_BYTES_MAX = 4 * MIB
/** How often a thread looks whether another is done writing certificates before it writes itself. */
export const KEYRING_TRIES_MAX = 10_000_000
/** Sessions are resumed for two hours; the key that seals them is replaced as often. */
export const TLS_SESSION_S_MAX = 7200
export const TLS_TICKET_KEY_BYTES = 48

/** How often the door looks for a free place while connections wait for one (memcached: 10 ms). */
export const DOOR_POLL_MS = 10

/** When to look again at an arena that could not be cleared up after a dead worker. */
export const RECOVER_AGAIN_MS = 200

/** How often each thread ticks the arenas' clocks, which count whole seconds. */
export const CLOCK_TICK_MS = 200
/** How often each thread looks for idle peers and slow handshakes; it ticks the clocks too. */
export const SERVICE_TICK_MS = 1000
/** Lines of the log that wait while nobody reads stderr, bytes in each thread. */
export const LOG_BACKLOG_BYTES_MAX = 256 * KIB

/** Without a newline in this many bytes only `get` and `gets` may go on (memcached: 2048). */
export const LINE_BYTES_MAX = 2048
/** memcached ignores at most this many spaces before a long get. */
export const LINE_SPACES_MAX = 100
/** Longest value that a text command may name, bytes: 2^31 less one and its line end. */
export const VALUE_BYTES_MAX = 2 ** 31 - 3
/** Shorter values are waited for; longer ones go into their item as they come. */
export const STREAM_VALUE_BYTES_MIN = 4 * KIB
/** Header, extras and key of a binary frame: what memcached reads before it looks at the key. */
export const BINARY_HEAD_BYTES_MAX = 16 * KIB
/** Highest level of `verbosity`, as in memcached. */
export const VERBOSITY_MAX = 3
/** Words of a command line that are told apart; memcached's tokenizer has 24 with the end mark. */
export const TOKENS_MAX = 23
/** Words of a meta command, the command and its key among them. */
export const META_WORDS_MAX = 20
/** Longest opaque of a meta command, its letter included. */
export const OPAQUE_BYTES_MAX = 32
/** What a meta store keeps of its line while its value is on its way: the key, and the opaque. */
export const META_STASH_BYTES = KEY_BYTES_MAX + OPAQUE_BYTES_MAX

/** Users of a password file, and bytes of one of its lines (memcached: 255). */
export const AUTH_USERS_MAX = 1024
export const AUTH_LINE_BYTES_MAX = 255
export const AUTH_FILE_BYTES_MAX = MIB
/** How often SASL's file is looked at for a change. */
export const AUTH_WATCH_MS = 2000
/** Longest name and password that a peer's claim is looked at for; a longer one is wrong. */
export const AUTH_CLAIM_BYTES_MAX = 2 * KIB
/** Longest name of a SASL mechanism, as in memcached. */
export const SASL_MECHANISM_BYTES_MAX = 32
/** Wrong passwords of a connection, or of an address, that are answered at once. */
export const AUTH_FAILURES_FREE = 3
/** A connection is closed after so many. */
export const AUTH_FAILURES_MAX = 10
/** Each further answer waits twice as long as the one before, between these bounds. */
export const AUTH_DELAY_MS_MIN = 100
export const AUTH_DELAY_MS_MAX = 2000
/** Addresses remembered in each worker for what they failed; one failure is forgiven in so long. */
export const AUTH_ADDRESSES_MAX = 1024
export const AUTH_FORGIVE_MS = 1000
/** An address with more failures than this waits for right answers too. */
export const AUTH_ADDRESS_FAILURES_FREE = 64
/** A worker logs failures at most this often. */
export const AUTH_LOG_MS_MIN = 1000
/** Connections that may watch at once (memcached: 20). */
export const WATCHERS_MAX = 20
/** A thread's log ring is made of blocks of this size. */
export const LOG_BLOCK_BYTES = 4 * KIB
/** How long a watcher rests while there is nothing new; it looks more often while there is. */
export const WATCH_PAUSE_MS_MIN = 5
export const WATCH_PAUSE_MS_MAX = 50
/** Most that a watcher is sent at a time, bytes, and records that it looks at for it. */
export const WATCH_PIECE_BYTES_MAX = 32 * KIB
export const WATCH_RECORDS_MAX = 4096

/** Prefixes of keys that `stats detail` counts, and slots looked at for one (memcached: 65536). */
export const PREFIXES_MAX = 16 * KIB
export const PREFIX_PROBES_MAX = 64

/** One request in so many is sampled for hot keys, on average. */
export const SAMPLE_EVERY = 128
/** Keys that each thread counts for that, and keys of long values that it knows. */
export const HOT_SLOTS = 64
export const LONG_SLOTS = 16
/** At so many samples a thread halves its counts. */
export const HOT_SAMPLES_MAX = 16_384
/** With one sample in so many a thread looks whether one of the long values is still there. */
export const LONG_RECHECK_SAMPLES = 8
/** Keys of each kind that `stats hotkeys` names. */
export const HOT_SHOWN_MAX = 20
/** Reading a sketch that its thread writes at the same time is tried so often. */
export const SKETCH_TRIES_MAX = 100

/** One piece of a dump of items, and all of a `stats cachedump`, bytes. */
export const DUMP_PIECE_BYTES = 32 * KIB
export const CACHEDUMP_BYTES_MAX = 2 * MIB
/** All nodes of a cluster as `config get cluster` tells of them, bytes. */
export const CLUSTER_BYTES_MAX = 16 * KIB
/** They are read again, so often, where they changed meanwhile. */
export const CLUSTER_READ_TRIES_MAX = 1000
/** `lru tune`: most that the hot and the warm list may have together, percent. */
export const LISTS_PERCENT_MAX = 80
/** `cache_memlimit` takes megabytes between these. */
export const MEGABYTES_MIN = 8
export const MEGABYTES_MAX = 1_000_000_000

/** One read from a socket, and one write to it, bytes. Each worker reuses one buffer of each. */
export const READ_BYTES = 64 * KIB
/** What is left of one read goes before the next in the same buffer, up to so long. */
export const READ_REST_BYTES_MAX = 16 * KIB
/** A ring's requests and completions: powers of two, as the kernel wants them. */
export const RING_SUBMISSIONS = 256
export const RING_COMPLETIONS = 4096
/** So often a submission that the kernel takes only in part, or not yet, is tried again. */
export const RING_SUBMIT_TRIES_MAX = 1000
/** Buffers that the kernel may read into, and the bytes of each: as memcached's, for long lines. */
export const RING_BUFFERS = 64
export const RING_BUFFER_BYTES = 16 * KIB
/** What is at least so long is read and sent by a system call of its own. */
export const RING_LONG_BYTES_MIN = 8 * KIB
/** After a long read so many more are expected to be. */
export const RING_LONG_MEMORY = 16
/** Such calls in a row for one peer, before others have their turn. */
export const RING_LONG_READS_MAX = 8
/** Replies of one turn stand one behind the other in a buffer of so many bytes; such that are kept. */
export const RING_REPLY_BYTES_MAX = 2 * 64 * KIB
export const RING_REPLY_POOL_MAX = 4
/** What a peer may say while it does not take its replies; nothing more is read then. */
export const KEPT_READ_BYTES_MAX = 64 * KIB
/** What is read of a peer that has said its last, until its replies are sent. */
export const FAREWELL_BYTES_MAX = 64 * KIB
/** How long a peer behind TLS may take for its farewell, once it was sent all. */
export const FAREWELL_MS_MAX = 1000
export const REPLY_BYTES = 64 * KIB
/** What TLS adds to so much: a header, a tag, an explicit nonce or padding to each of its records, an alert. */
export const SEAL_BYTES_MAX = KIB
/** Sealed bytes that wait on a TLS connection for those before: a reply and what the protocol has to say. */
export const SEALED_KEPT_BYTES_MAX = 2 * REPLY_BYTES
/** After so many bytes of replies in one turn a connection lets the others have theirs. */
export const YIELD_BYTES = MIB
/** Empty pieces in a row that a reply made while it is sent may give before others have a turn. */
export const SOURCE_STEPS_MAX = 8
/** Keys whose items are brought near the processor at once, before their requests run. */
export const PREFETCH_KEYS_MAX = 32
/** Less input than this holds too few requests for a look ahead. */
export const LOOKAHEAD_BYTES_MIN = 128
/** A number of a plain request has at most so many digits: 32 bits hold it whatever they are. */
export const PLAIN_DIGITS_MAX = 9
/**
 * Bytecode of a function that the compiler puts into the one that calls it, and of all that it puts
 * into one (V8: 460 and 920), bytes.
 */
export const INLINED_FUNCTION_BYTES_MAX = 1000
export const INLINED_TOTAL_BYTES_MAX = 2000
/** A reply up to so long is sent by a view of its buffer that is made once. */
export const KEPT_HEAD_BYTES_MAX = 1024
/** Values of a reply, or parts of them, that are sent from where they are stored, and their bytes. */
export const INSERTS_MAX = 64
export const INSERTS_BYTES_MAX = MIB
/** While so many items of an arena are held, replies take values one at a time, as copies. */
export const INSERTS_HELD_MAX = HOLD_SLOTS_MAX / 2
/** A socket reads into a value's own place while at least so much of it is to come. */
export const DIRECT_READ_BYTES_MIN = 8 * KIB
/** After a value of at least this length a connection reads so little first: the next may be as long. */
export const SHORT_READ_VALUE_BYTES_MIN = 64 * KIB
export const SHORT_READ_BYTES = KIB
/** A reply with inserts leaves its buffer to others, even if the kernel does not take it, up to so long. */
export const HEAD_BYTES_MAX = KIB
/** Reply buffers kept for reuse in one worker beyond the one in use. */
export const REPLY_POOL_MAX = 64
/**
 * Room for everything in a reply around a value: `VALUE key flags bytes cas`, line ends, `END`, or
 * `VA` and all that a meta command may ask for, its key in base64 among it.
 */
export const REPLY_FRAME_BYTES_MAX = 640
/** A UDP datagram of a reply, its header included (memcached: 1400), and the header. */
export const UDP_DATAGRAM_BYTES_MAX = 1400
export const UDP_HEADER_BYTES = 8
/** What one UDP datagram may be answered with: an item of a megabyte, in about 800 datagrams. */
export const UDP_REPLY_BYTES_MAX = MIB + 64 * KIB
/** Replies on their way out of a UDP socket; while there are more, requests are dropped. */
export const UDP_SEND_BYTES_MAX = 4 * MIB
/**
 * Values up to this size are copied into the reply at once; longer ones are held, and sent from where
 * they are stored. That costs 0.7 us more for 2 KiB, 0.5 us more for 16 KiB, and as much for 32 KiB.
 */
export const INLINE_VALUE_BYTES_MAX = 32 * KIB

/** Longer values of the in-process door are not copied on their way in. */
export const LOCAL_SCRATCH_BYTES = 64 * KIB

/** Requests that may wait on one connection of a client, their bytes, and the wait for authentication. */
export const CLIENT_PENDING_MAX = 65_536
export const CLIENT_PENDING_BYTES_MAX = 64 * MIB
export const CLIENT_AUTH_MS_MAX = 10_000
/** Shorter values of a pool are not compressed by default; longer ones than this never are. */
export const COMPRESS_BYTES_MIN = KIB
export const INFLATED_BYTES_MAX = 64 * MIB
/** Copies of a value that a pool may keep. */
export const COPIES_MAX = 8
/** Keys remembered for each server that may have an old copy; with more it is emptied. */
export const STALE_KEYS_MAX = 65_536
/** How many of them are removed at once, and how long to wait before that and between. */
export const STALE_BATCH_KEYS = 256
export const STALE_REST_MS = 100
/** A server that left the pool so long ago is forgotten: names may be new ones each time. */
export const STALE_GONE_MS = 600_000
/** Items that are copied at once to servers that lack them; others wait for the next who asks. */
export const REPAIRS_MAX = 256
/** Keys that are asked for at once through memjs, each by a request of its own. */
export const MEMJS_BATCH_KEYS = 1024
/** Longer parts of requests are not copied on their way out, bytes. */
export const CLIENT_JOINED_BYTES_MAX = 16 * KIB
/** What a pool's client waits for an answer by default, and how often it tries again at most. */
export const CLIENT_TIMEOUT_MS = 500
export const CLIENT_RETRIES_MAX = 10
/** Failures in a row that eject a server by default, its first rest and its longest. */
export const CLIENT_FAILURES = 3
export const CLIENT_REST_MS = 1000
export const CLIENT_REST_MS_MAX = 60_000
/** A server that was back for so long is not held against its past. */
export const CLIENT_STEADY_MS = 30_000
/** After a change of servers: how long owners before it are asked by default, and of how many changes. */
export const CLIENT_WARMUP_MS = 60_000
export const WARMUP_VIEWS_MAX = 4
/** How often an item is moved anew that was changed while it was moved. */
export const MOVE_TRIES_MAX = 3

/** What a strategy gives a loader by default, and the pauses of those who wait for another's load. */
export const STRATEGY_LOAD_MS = 5000
export const STRATEGY_POLL_MS_MIN = 2
export const STRATEGY_POLL_MS_MAX = 50
/** The longest that a timer of Node waits, ms: with more it ends at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1
/** Strategies without an `onError` warn at most this often. */
export const STRATEGY_WARN_MS = 10_000
/** Values end up to this share of their time earlier by default, so that not all end at once. */
export const TTL_JITTER = 0.1
/** Writes behind by default: keys that wait, saves at a time, tries of one, its time, the rest between. */
export const BEHIND_QUEUE_MAX = 10_000
export const BEHIND_SAVES_MAX = 8
export const BEHIND_TRIES_MAX = 3
export const BEHIND_SAVE_MS = 5000
export const BEHIND_PAUSE_MS = 100
/** What a session without an end of its own lives, seconds. */
export const SESSION_TTL_S = 86_400

/** Items that a drain moves at the same time, what one may take, and how often it is tried. */
export const DRAIN_AT_ONCE = 64
export const DRAIN_AT_ONCE_MAX = 4096
export const DRAIN_TIMEOUT_MS = 10_000
export const DRAIN_TRIES_MAX = 3
/** How often the keys are listed while there is still something to move. */
export const DRAIN_PASSES_MAX = 10
/** So many items that cannot be moved end it. */
export const DRAIN_FAILED_MAX = 100
/** A crawler that is busy is asked again, so often; how long a list of keys may stand still. */
export const DRAIN_BUSY_MS = 1000
export const DRAIN_BUSY_TRIES_MAX = 60
export const DRAIN_SILENCE_MS = 60_000
/** Longest line of what a server says about itself: all nodes of a cluster, or a key and what there is to it. */
export const TALK_LINE_BYTES_MAX = 64 * KIB
export const DRAIN_PROGRESS_MS = 1000

/** How often sources of servers are asked by default, and how much that varies, a share. */
export const DNS_INTERVAL_MS = 30_000
export const CONFIG_INTERVAL_MS = 60_000
export const DISCOVERY_JITTER = 0.1
/** After a failure they are asked again this soon. */
export const DISCOVERY_RETRY_MS = 1000
/** A cluster's configuration of an older version is believed when it was told so often in a row. */
export const CONFIG_OLDER_LOOKS = 3
/** Servers that are asked for it before that is a failure, how long each may be silent, and take. */
export const CONFIG_ASKED_MAX = 3
export const CONFIG_TIMEOUT_MS = 5000
export const CONFIG_ANSWER_MS = 10_000
/** Where daemons are found in etcd by default, and how long an entry outlives a daemon that died. */
export const ETCD_PREFIX = '/memslab/'
export const ETCD_TTL_S = 10
export const ETCD_TTL_S_MIN = 2
export const ETCD_TTL_S_MAX = 3600
/** How often a lease is renewed in its time. */
export const ETCD_RENEWALS = 3
/** A call to one endpoint, when to try again, and what leaving may take. */
export const ETCD_TIMEOUT_MS = 5000
export const ETCD_RETRY_MS = 1000
export const ETCD_LEAVE_MS = 2000
/** How long one watch lasts before the list is looked at anew. */
export const ETCD_WATCH_MS = 60_000
/** Between two watches: a proxy may end each of them at once. */
export const ETCD_REST_MS = 100
export const ETCD_ENDPOINTS_MAX = 16
export const ETCD_REPLY_BYTES_MAX = 64 * MIB
/** A question to a name server, and how often it is put before that is a failure. */
export const DNS_TIMEOUT_MS = 1000
export const DNS_TRIES = 2

/** Nodes of a client's ring; node index and point value share a double. */
export const RING_NODES_MAX = 65_536
/** Largest weight of a node, and what an equally weighted node has on the ring (ketama). */
export const RING_WEIGHT_MAX = 1_000_000
export const RING_POINTS_PER_NODE = 160
/** Points that one md5 gives. */
export const RING_POINTS_PER_HASH = 4

assert(RING_NODES_MAX * 2 ** 32 <= Number.MAX_SAFE_INTEGER, 'a point and its owner are one double')
assert(REPLY_BYTES >= 1.5 * INLINE_VALUE_BYTES_MAX + REPLY_FRAME_BYTES_MAX)
assert(META_WORDS_MAX < TOKENS_MAX, 'a word too many is seen')
assert(READ_BYTES > LINE_BYTES_MAX + LINE_SPACES_MAX)
// A line, or a line and a value that is not read to its place.
assert(READ_REST_BYTES_MAX > LINE_BYTES_MAX + LINE_SPACES_MAX + DIRECT_READ_BYTES_MIN)
assert(UDP_REPLY_BYTES_MAX < 65535 * (UDP_DATAGRAM_BYTES_MAX - UDP_HEADER_BYTES))
assert(KEY_BYTES_MAX < 256, 'a key length is one byte of an item header')
assert(AUTH_CLAIM_BYTES_MAX > 2 * AUTH_LINE_BYTES_MAX)
