// What one look at the pool found: figures of each node, or why it has none.

/** The estimated miss-ratio curve of a node. */
export interface Curve {
  /** Lookups behind it. */
  lookups: number
  /** Hit ratio in percent by the memory, as a multiple of the present one; ascending. */
  points: readonly (readonly [memory: number, hitPercent: number])[]
}

/** A number that is not known is null: rates need two looks. */
export interface Figures {
  /** Of the time of its threads, percent. */
  cpu: number | null
  connections: number | null
  items: number | null
  bytes: number | null
  limitBytes: number | null
  /** Per second. */
  evictions: number | null
  /** Per second. */
  hits: number | null
  /** Null where keys are not sampled, or too few lookups were. */
  curve: Curve | null
}

export interface NodeLook {
  name: string
  /** Null: it does not answer. */
  figures: Figures | null
}
