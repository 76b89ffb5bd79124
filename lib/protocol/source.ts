// Replies of any length.

/**
 * Output of any length, produced piece by piece while the peer reads. Each call is bounded. An
 * empty piece means "not yet": the next call comes after `pauseMs`, and others have their turn in
 * between.
 */
export interface Source {
  readonly pauseMs: number
  /** It delays the answer to a failed log-in: it is dropped if the peer closes. */
  readonly isPenalty?: boolean
  /** The next piece, or null after the last. */
  next(): Buffer | null
  /** The peer is gone, or `next` returned null. */
  close(): void
}
