// A bar on stderr for long work, where stderr is a terminal.

const CELLS = 30
/** The bar is drawn at most this often. */
const DRAW_MS_MIN = 100

export class Progress {
  private readonly what: string
  private readonly isShown = process.stderr.isTTY === true
  private drawnMs = Number.NEGATIVE_INFINITY

  constructor(what: string) {
    this.what = what
  }

  /** `share`: from 0 to 1; null: nobody knows. */
  show(share: number | null, note = ''): void {
    const nowMs = performance.now()
    if (!this.isShown || nowMs - this.drawnMs < DRAW_MS_MIN) return
    this.drawnMs = nowMs
    const full = Math.round(Math.min(1, share ?? 0) * CELLS)
    const bar = share === null ? '' : ` [${'#'.repeat(full)}${'.'.repeat(CELLS - full)}]`
    const percent = share === null ? '' : ` ${Math.floor(share * 100)} %`
    process.stderr.write(`\r\x1b[K${this.what}${bar}${percent} ${note}`)
  }

  /** Removes the bar. */
  end(): void {
    if (this.isShown && this.drawnMs > 0) process.stderr.write('\r\x1b[K')
  }
}
