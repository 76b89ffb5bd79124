// The values of cache-aside: bytes and flags, and what the cache would make of them.

import type { AsideSettings } from './aside-options.ts'
import { decode, encode, type StoredBytes } from './encoding.ts'

/** A value as bytes and flags, and as the cache would return it. */
export interface Encoded<T> {
  bytes: Buffer
  flags: number
  value: T
}

export class AsideValues {
  private readonly settings: AsideSettings

  constructor(settings: AsideSettings) {
    this.settings = settings
  }

  /** Undefined for a value that cannot be serialized, which is reported. */
  encoded<T>(key: string, loaded: T): Encoded<T> | undefined {
    const { serializer, report } = this.settings
    try {
      const { bytes, flags } = encode(loaded, serializer)
      return { bytes, flags, value: decode({ value: bytes, flags }, serializer) as T }
    } catch (error) {
      report(error, key)
      return undefined
    }
  }

  /** Undefined for a damaged value, which is reported. */
  decoded<T>(key: string, item: StoredBytes): { value: T } | undefined {
    try {
      return { value: decode(item, this.settings.serializer) as T }
    } catch (error) {
      this.settings.report(error, key)
      return undefined
    }
  }

  isReadable(item: StoredBytes | undefined): boolean {
    try {
      if (item === undefined) return false
      decode(item, this.settings.serializer)
      return true
    } catch {
      return false
    }
  }
}
