// io_uring as Linux lays it out (linux/io_uring.h): the memory that a thread shares with the
// kernel. Offsets are in 32-bit words unless they say bytes.
//
// Submission, 16 words: a request
//  0 OPCODE FLAGS IOPRIO (8, 8, 16 bits)   1 DESCRIPTOR   2-3 OFFSET   4-5 ADDRESS   6 LENGTH
//  7 flags of the operation   8-9 TOKEN   10 GROUP of buffers (16 bits)   11-15 unused
// Completion, 4 words: the result of a request
//  0-1 TOKEN   2 RESULT, an errno if negative   3 FLAGS, the buffer's number in their upper half
// Buffer that the kernel receives into, 4 words. The last half word of the first one is the tail of
// the ring of buffers
//  0-1 ADDRESS   2 LENGTH   3 NUMBER (16 bits)

export const SUBMISSION_WORDS = 16
export const SUBMISSION_OPERATION = 0
export const SUBMISSION_DESCRIPTOR = 1
export const SUBMISSION_ADDRESS = 4
export const SUBMISSION_LENGTH = 6
export const SUBMISSION_OPERATION_FLAGS = 7
export const SUBMISSION_TOKEN = 8

export const COMPLETION_WORDS = 4
export const COMPLETION_TOKEN = 0
export const COMPLETION_RESULT = 2
export const COMPLETION_FLAGS = 3

export const BUFFER_WORDS = 4
export const BUFFER_ADDRESS = 0
export const BUFFER_LENGTH = 2
export const BUFFER_NUMBER = 3
/** The tail of the ring of buffers, in half words. */
export const BUFFERS_TAIL_HALF = 7

export const Opcode = {
  POLL_ADD: 6,
  TIMEOUT: 11,
  TIMEOUT_REMOVE: 12,
  ASYNC_CANCEL: 14,
  SEND: 26,
  RECV: 27,
} as const

/** In one word with the opcode: the kernel chooses the buffer. */
export const BUFFER_SELECT = 32 << 8
/** In the same word: one request receives again and again. */
export const RECEIVE_MULTISHOT = 2 << 16

/** Flags of a completion: it has a buffer; more completions of the same request will come. */
export const HAS_BUFFER = 1
export const HAS_MORE = 2
export const BUFFER_SHIFT = 16

export const MSG_DONTWAIT = 0x40
export const MSG_NOSIGNAL = 0x4000

/** struct io_uring_params: its size and the offsets of its fields, bytes. */
export const PARAMS_BYTES = 120
export const PARAMS_COMPLETIONS = 4
export const PARAMS_FLAGS = 8
export const PARAMS_SUBMISSION_RING = 40
export const PARAMS_COMPLETION_RING = 80
/** In its part about the submission ring, bytes. */
export const SUBMISSION_HEAD = 0
export const SUBMISSION_TAIL = 4
export const SUBMISSION_ARRAY = 24
/** In its part about the completion ring, bytes. */
export const COMPLETION_HEAD = 0
export const COMPLETION_TAIL = 4
export const COMPLETION_ENTRIES = 20

export const SETUP_CQSIZE = 1 << 3
/** A request that is refused does not keep later ones from being submitted. */
export const SETUP_SUBMIT_ALL = 1 << 7
/** Only one thread submits, and completions are made only while it is in the kernel. */
export const SETUP_SINGLE_ISSUER = 1 << 12
export const SETUP_DEFER_TASKRUN = 1 << 13

export const OFFSET_SUBMISSIONS = 0x10000000
export const ENTER_GETEVENTS = 1
export const REGISTER_BUFFER_RING = 22
/** Size of struct io_uring_buf_reg, bytes. */
export const BUFFER_RING_BYTES = 40
export const SYSCALL_SETUP = 425
export const SYSCALL_REGISTER = 427
export const POLLIN = 1
export const POLLOUT = 4
export const TIMESPEC_BYTES = 16
