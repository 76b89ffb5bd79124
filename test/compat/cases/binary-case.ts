/** Helpers to write edge cases of the binary protocol. Keys: RESET_KEYS. */
import { frame, keyTag, Op, store, u32 } from '../../support/binary-frames.ts'

export const KEYS = ['k', 'a', 'b', 'K'.repeat(250), 'zz']

/** Stores 1 under k. */
export const ONE = store(Op.SET, 'k', '1')
export const GET = frame(Op.GET, { key: 'k' })
/** Shows that both servers read the next frame at the same byte again. */
export const NOOP = frame(Op.NOOP, { opaque: 0x12345 })
/** After a frame that consumes bytes of the next: neither server waits for more, both close. */
export const JUNK = 'junk'.repeat(150)

/** Requests about key k whose replies can be distinguished. */
export function numbered(frames: string[]): string {
  return frames
    .map(
      (bytes, index) =>
        bytes.slice(0, 12) + u32(((index + 1) << 12) | keyTag('k')) + bytes.slice(16),
    )
    .join('')
}
