/**
 * Debian's chromium, which looks at the page of a daemon. It talks to this machine alone; what it
 * complains of, and what it asks others for, is collected.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { findProgram } from './oracle.ts'
import { HOST, type Owner } from './process.ts'
import { ANSWER_MS_MAX } from './server-peer.ts'

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
/** Tests may run as root, and no name but this machine's has an address. */
const FLAGS = [
  '--no-sandbox',
  '--no-proxy-server',
  '--disable-background-networking',
  '--disable-component-update',
  `--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${HOST}`,
]

export interface Tab {
  page: Page
  /** Errors of the console and of scripts, and requests to others. */
  complaints: string[]
}

/** A browser for all tests of a file. */
export async function openBrowser(owner: Owner): Promise<Browser> {
  const executablePath = findProgram('chromium')
  const browser = await chromium.launch({ executablePath, args: FLAGS, timeout: ANSWER_MS_MAX })
  owner.teardown(() => browser.close())
  return browser
}

/** Opens the page of the daemon whose admin listener is at this port. */
export async function openTab(
  owner: Owner,
  browser: Browser,
  port: number,
  options: BrowserContextOptions = {},
): Promise<Tab> {
  const context = await browser.newContext({ colorScheme: 'light', ...options })
  owner.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(ANSWER_MS_MAX)
  const complaints: string[] = []
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(String(error)))
  const origin = `http://${HOST}:${port}`
  page.on('request', request => {
    if (!request.url().startsWith(`${origin}/`)) complaints.push(request.url())
  })
  await page.goto(`${origin}/`)
  await page.locator('#state[data-state=live]').waitFor()
  return { page, complaints }
}

/** What axe-core finds wrong for those who cannot see, or not well. */
export async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  const run = 'axe.run({ resultTypes: ["violations"] }).then(found => found.violations)'
  const found = (await page.evaluate(run)) as { id: string; nodes: { html: string }[] }[]
  return found.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
}
