// Numbers as people read them.

const SMALL_FROM = 100
const THOUSANDS = ['', ' k', ' M', ' G', ' T']
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
const TIME_UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const

/** What is not known. */
export const UNKNOWN = '–'

/** 950, 1.23 k, 45.6 M. */
export function count(value: number | null): string {
  if (value === null) return UNKNOWN
  const power = powerOf(value, 1000, THOUSANDS.length)
  const digits = power === 0 && (Number.isInteger(value) || value >= SMALL_FROM) ? 0 : undefined
  return `${short(value / 1000 ** power, digits)}${THOUSANDS[power]}`
}

/** All digits, in groups: 1,234,567. */
export function exact(value: number): string {
  return value.toLocaleString('en')
}

/** 512 B, 1.50 KiB. */
export function bytes(value: number | null): string {
  if (value === null) return UNKNOWN
  const power = powerOf(value, 1024, BYTE_UNITS.length)
  return `${short(value / 1024 ** power, power === 0 ? 0 : undefined)} ${BYTE_UNITS[power]}`
}

/** A share from 0 to 1 as percent. */
export function percent(value: number | null, digits = 1): string {
  return value === null ? UNKNOWN : `${(value * 100).toFixed(digits)} %`
}

/** Microseconds: 85 µs, 1.20 ms, 2.50 s. */
export function micros(value: number | null): string {
  if (value === null) return UNKNOWN
  if (value < 1000) return `${Math.round(value)} µs`
  return value < 1e6 ? `${short(value / 1000)} ms` : `${short(value / 1e6)} s`
}

/** Seconds in their largest units, two unless told: 45 s, 3 min 5 s, 2 h 10 min, 5 d 3 h. */
export function age(seconds: number, units = 2): string {
  let left = Math.max(0, Math.floor(seconds))
  const parts: string[] = []
  for (const [name, size] of TIME_UNITS) {
    const whole = Math.floor(left / size)
    left -= whole * size
    if (whole > 0 || parts.length > 0 || size === 1) parts.push(`${whole} ${name}`)
  }
  return parts.slice(0, units).join(' ')
}

/** Without zeros behind the point: 4.00 k -> 4 k. */
export function brief(text: string): string {
  return text.replace(/\.0+(?= )|(?<=\.\d*[1-9])0+(?= )/, '')
}

/** Percent-encoded bytes as text where they are text, and unchanged where not. */
export function keyText(encoded: string): string {
  try {
    const text = decodeURIComponent(encoded)
    return HIDDEN.test(text) ? encoded : text
  } catch {
    return encoded
  }
}

/** Control characters, and those that change the direction of text. */
const HIDDEN = /[\p{Cc}\p{Cf}\u2028\u2029]/u

/** Three digits that count. */
function short(value: number, digits?: number): string {
  if (digits !== undefined) return value.toFixed(digits)
  const size = Math.abs(value)
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2)
}

function powerOf(value: number, base: number, units: number): number {
  let power = 0
  // What rounds to the next unit is shown in it.
  for (let left = Math.abs(value); left >= base - 0.5 && power < units - 1; left /= base) power++
  return power
}
