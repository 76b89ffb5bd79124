// Why a request to a server could not be answered.

export type ClientErrorCode =
  /** No answer before the deadline. */
  | 'TIMEOUT'
  /** The connection could not be made, or broke while the request was on its way. */
  | 'CONNECTION'
  /** More requests wait on this connection than it may keep. */
  | 'BUSY'
  /** A key that no memcached takes. */
  | 'KEY'
  /** A value that cannot be read back, or that nothing can be joined to. */
  | 'VALUE'
  /** The server refused: its words are the message. */
  | 'SERVER'
  /** What came back is not the protocol; the connection is given up. */
  | 'PROTOCOL'
  /** The user and password were refused. */
  | 'AUTH'
  /** The client was closed. */
  | 'CLOSED'

export class ClientError extends Error {
  readonly code: ClientErrorCode
  /** host:port of the server, where one is concerned. */
  readonly server: string | undefined

  constructor(code: ClientErrorCode, message: string, server?: string) {
    super(server === undefined ? message : `${server}: ${message}`)
    this.name = 'ClientError'
    this.code = code
    this.server = server
  }
}
