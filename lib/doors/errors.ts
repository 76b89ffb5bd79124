// The one error of both doors and of the strategies. `code` says why a call could not be carried
// out. A miss, or a condition that did not hold, is an answer and no error.

export type CacheErrorCode =
  /** An argument or option has the wrong type or is out of range, or there is no such option. */
  | 'ARGUMENT'
  /** The cache does not take this key. */
  | 'KEY'
  /** A value that cannot be stored, read back or joined to. */
  | 'VALUE'
  /** The item is longer than the cache allows. */
  | 'TOO_LARGE'
  /** There is no memory, and nothing may be evicted. */
  | 'NO_MEMORY'
  /** The value is not a decimal number of 64 bits. */
  | 'NON_NUMERIC'
  /** No server answered before the deadline. */
  | 'TIMEOUT'
  /** The connection could not be made, or broke while the request was on its way. */
  | 'CONNECTION'
  /** Too many requests wait on this connection; nothing was sent. */
  | 'BUSY'
  /** The server refused for another reason; its words are the message. */
  | 'SERVER'
  /** The reply is not of the protocol; the connection is closed. */
  | 'PROTOCOL'
  /** The server refused the user and password. */
  | 'AUTH'
  /** The cache, pool or queue was closed. */
  | 'CLOSED'
  /** A loader, here or in another process, was not done in time. */
  | 'DEADLINE'
  /** The queue of writes is full and stayed full. */
  | 'FULL'

export interface CacheErrorOptions extends ErrorOptions {
  /** `host:port` or the path of the server that the error is about. */
  server?: string | undefined
}

export class CacheError extends Error {
  readonly code: CacheErrorCode
  /** `host:port` or the path of the server that the error is about, where there is one. */
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
