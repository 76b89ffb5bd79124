// Whether requests may be sent without waiting for each other. For strategies alone: what they ask
// in order then costs one round trip.

/** A store may have this method; one that has not keeps no order. */
export const KEEPS_ORDER: unique symbol = Symbol.for('memslab keeps order')

export interface Ordered {
  /**
   * Whether calls about these two keys that begin in this turn of the event loop are carried out in
   * the order in which they begin.
   */
  [KEEPS_ORDER](key: string, other: string): boolean
}

export function keepsOrder(store: object, key: string, other: string): boolean {
  return KEEPS_ORDER in store && (store as Ordered)[KEEPS_ORDER](key, other)
}
