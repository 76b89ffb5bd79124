// Text from elsewhere as a person may read it: nothing in it acts on a terminal, ends a line or
// changes the direction of what follows.

const ACTED_ON = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Text whose control characters are escaped, as in `\x1b` and `\u{202e}`. */
export function printable(text: string): string {
  return text.replace(ACTED_ON, escaped)
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
}
