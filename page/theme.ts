// The colours of page.css, for what is drawn on a canvas, and when they change.

const dark = matchMedia('(prefers-color-scheme: dark)')

/** The value of a variable such as `--ink`. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** Calls back when the system changes between light and dark. */
export function onThemeChange(change: () => void): void {
  dark.addEventListener('change', change)
}

/** The colour at `share`, 0 to 1, between three of the form #rrggbb. */
export function between(share: number, low: string, middle: string, high: string): string {
  const isLow = share < 0.5
  const [from, to] = isLow ? [low, middle] : [middle, high]
  const part = isLow ? share * 2 : share * 2 - 1
  const mixed = [1, 3, 5].map(at => {
    const [a, b] = [from, to].map(text => Number.parseInt(text.slice(at, at + 2), 16))
    return Math.round((a ?? 0) + ((b ?? 0) - (a ?? 0)) * part)
  })
  return `rgb(${mixed.join(' ')})`
}
