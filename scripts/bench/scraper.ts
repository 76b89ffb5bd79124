// Asks an admin listener for its metrics once a second, as Prometheus does.

const SCRAPE_MS = 1000

export interface Scraper {
  /** Scrapes that were answered, and their bytes together. */
  counts: { scrapes: number; bytes: number }
  stop(): void
}

/** Scrapes from when the listener answers until `stop`. */
export function startScraper(port: number): Scraper {
  const counts = { scrapes: 0, bytes: 0 }
  const timer = setInterval(async () => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
      counts.bytes += (await answer.text()).length
      counts.scrapes++
    } catch {
      // It does not listen yet, or no more.
    }
  }, SCRAPE_MS)
  return { counts, stop: () => clearInterval(timer) }
}
