// `node scripts/screenshots.ts [FOLDER]`: the pictures of the page in docs/monitoring/, of a daemon
// that a made-up application uses for a while. Needs Debian's chromium. Loopback only; the daemon
// and the browser end with the script.

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { stopAllOnExit } from './bench/processes.ts'
import { freePort, memslabCommand, startServer, stopServer } from './bench/servers.ts'

const [folder = fileURLToPath(new URL('../docs/monitoring/', import.meta.url))] =
  process.argv.slice(2)
const CHROMIUM = '/usr/bin/chromium'
const DESKTOP = { width: 1180, height: 800 }
const PHONE = { width: 390, height: 844 }

/** How long the application has used the daemon before the page is opened, and is looked at. */
const WARM_S = 45
const SHOWN_S = 100

const CONNECTIONS = 8
const BATCH = 8
const PAUSE_MS = 12
const KEYS = 40_000
/** A higher power makes few keys hotter. */
const SKEW = 3.2
/** Kinds of keys and the usual size of their values, bytes. */
const KINDS = [
  ['user', 200],
  ['session', 900],
  ['page', 12_000],
  ['feed', 3000],
  ['image', 60_000],
] as const
const VALUE = Buffer.alloc(200_000, 'x')
const LAST = 'MN\r\n'

interface Shot {
  name: string
  scheme: 'light' | 'dark'
  viewport: { width: number; height: number }
  /** The section at the top of the picture. */
  section: string
}

const SHOTS: readonly Shot[] = [
  { name: 'page-overview', scheme: 'light', viewport: DESKTOP, section: 'overview' },
  { name: 'page-memory', scheme: 'dark', viewport: DESKTOP, section: 'memory' },
  { name: 'page-evictions', scheme: 'light', viewport: DESKTOP, section: 'evictions' },
  { name: 'page-phone', scheme: 'dark', viewport: PHONE, section: 'overview' },
]

stopAllOnExit()
mkdirSync(folder, { recursive: true })
const admin = await freePort()
const command = [...memslabCommand(), '--admin', String(admin), '--admin-write']
const server = await startServer({ name: 'memslab', command, threadCount: 4, memoryMib: 128 })
const end = Date.now() + (WARM_S + SHOWN_S + 60) * 1000
// Their connections break when the daemon ends.
for (let i = 0; i < CONNECTIONS; i++) use(server.port, end).catch(() => {})
await sleep(WARM_S * 1000)
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
await Promise.all(SHOTS.map(shot => take(browser, shot)))
await browser.close()
await stopServer(server)
process.exit()

async function take(browser: Browser, { name, scheme, viewport, section }: Shot): Promise<void> {
  const context = await browser.newContext({ viewport, colorScheme: scheme })
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${admin}/`)
  await sleep(SHOWN_S * 1000)
  await page.evaluate(
    `document.getElementById('${section}').scrollIntoView({ behavior: 'instant' })`,
  )
  // The next sample is drawn where the page is now.
  await sleep(1500)
  const path = join(folder, `${name}.png`)
  await page.screenshot({ path })
  console.log(path)
}

/** One connection of the application: gets, and sets after some misses. */
async function use(port: number, endMs: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  while (Date.now() < endMs && !socket.destroyed) {
    let tail = ''
    socket.write(
      Buffer.concat([...Array.from({ length: BATCH }, request).flat(), Buffer.from('mn\r\n')]),
    )
    while (!tail.endsWith(LAST)) {
      const [chunk] = await once(socket, 'data')
      tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - LAST.length))).slice(
        -LAST.length,
      )
    }
    await sleep(PAUSE_MS * Math.random() * 2)
  }
}

function request(): Buffer[] {
  const number = Math.floor(KEYS * Math.random() ** SKEW)
  const [kind, usualBytes] = KINDS[number % KINDS.length] ?? KINDS[0]
  const key = `${kind}:${number}`
  const dice = Math.random()
  if (dice < 0.86) return [Buffer.from(`get ${key}\r\n`)]
  if (dice < 0.98) {
    const valueBytes = Math.floor(usualBytes * (0.3 + 1.4 * Math.random()))
    const exptime = number % 3 === 0 ? 20 + (number % 50) : 0
    const line = `set ${key} 0 ${exptime} ${valueBytes}\r\n`
    return [Buffer.from(line), VALUE.subarray(0, valueBytes), Buffer.from('\r\n')]
  }
  return [Buffer.from(dice < 0.99 ? `delete ${key}\r\n` : `touch ${key} 100\r\n`)]
}
