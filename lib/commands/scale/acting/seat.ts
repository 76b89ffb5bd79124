// Only one scaler acts on a pool; others stand by and take over. A seat is held for a term: its
// signal aborts as soon as the seat is lost, or may be.

export interface Seat {
  /** The signal of the present term; null: another one acts. */
  term(): AbortSignal | null
  /** Gives the seat up. */
  close(): Promise<void>
}

/** Tells of what changes, in one line. */
export type Tell = (line: string) => void
