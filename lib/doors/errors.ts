// The one error class of LocalCache, ClusterClient and the strategies. `code` says why a call
// failed. A miss, or a condition that did not hold, is an answer and not an error.

export type CacheErrorCode =
  /** An argument or option has the wrong type, is out of range, or is unknown. */
  | 'ARGUMENT'
  /** The cache does not allow this key. */
  | 'KEY'
  /** A value that cannot be stored, read back, appended or prepended to. */
  | 'VALUE'
  /** The item is longer than the cache allows. */
  | 'TOO_LARGE'
  /** There is no memory, and nothing may be evicted. */
  | 'NO_MEMORY'
  /** The value is not a decimal number of 64 bits. */
  | 'NON_NUMERIC'
  /** No server answered before the deadline. */
  | 'TIMEOUT'
  /** The connection failed, or broke while the request was pending. */
  | 'CONNECTION'
  /**
   * Too many requests are pending on this connection, and nothing was sent; or too many loads wait,
   * or their source fails.
   */
  | 'BUSY'
  /** The server refused for another reason; the message is the server's. */
  | 'SERVER'
  /** The reply does not follow the protocol; the connection is closed. */
  | 'PROTOCOL'
  /** The server refused the user and password. */
  | 'AUTH'
  /** The cache, pool or queue was closed. */
  | 'CLOSED'
  /** A loader, here or in another process, did not finish in time. */
  | 'DEADLINE'
  /** The queue of writes stayed full. */
  | 'FULL'

export interface CacheErrorOptions extends ErrorOptions {
  /** `host:port` or the path of the server that the error is about. */
  server?: string | undefined
}

export class CacheError extends Error {
  readonly code: CacheErrorCode
  /** `host:port` or the path of the server that the error is about, if any. */
  readonly server: string | undefined

  constructor(
    code: CacheErrorCode,
    message: string,
    { server, ...options }: CacheErrorOptions = {},
  ) {
    super(server === undefined ? message : `${server}: ${message}`, options)
    this.name = 'CacheError'
    this.code = code
    this.server = server
  }
}
