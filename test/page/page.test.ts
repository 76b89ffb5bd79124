// The page in a real browser.

import type { BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startWithAdmin } from '../support/admin.ts'
import { findBarriers, openBrowser, openTab, type Tab } from '../support/browser.ts'
import { startDaemonOn } from '../support/daemon.ts'
import { skipWithout } from '../support/oracle.ts'
import { ask, askOnce, comesTrue, openPeer, statsOf } from '../support/server-peer.ts'

const skip = skipWithout('chromium')
const browser = skip === false ? await openBrowser(t) : undefined
const CHARTS = 6
const HOT = 'user:1/é'
const PHONE = { width: 360, height: 740 }

type Opened = Tab & { admin: number; port: number; pid: number }

/** A test with a daemon that some client uses, and its page. */
function pageTest(
  name: string,
  { args = [], ...options }: BrowserContextOptions & { args?: string[] },
  body: (t: Test, opened: Opened) => Promise<void>,
): void {
  t.test(name, { skip }, async t => {
    if (browser === undefined) throw new Error('no browser')
    const { daemon, admin } = await startWithAdmin(t, args)
    await use(daemon.port)
    const tab = await openTab(t, browser, admin, options)
    await body(t, { ...tab, admin, port: daemon.port, pid: daemon.pid })
    t.same(tab.complaints, [], 'no error, and nothing from elsewhere')
  })
}

async function use(port: number): Promise<void> {
  const peer = await openPeer(port)
  const key = Buffer.from(HOT).toString('base64')
  await ask(peer, `ms ${key} 5 b\r\nhello\r\n`, '\r\n')
  for (let i = 0; i < 500; i++) peer.write(`set user:${i} 0 9 1 noreply\r\n1\r\nget user:${i}\r\n`)
  for (let i = 0; i < 20; i++) await ask(peer, `mg ${key} b v\r\n`.repeat(100), 'hello\r\n')
  peer.destroy()
}

const textOf = async (page: Page, selector: string) =>
  (await page.locator(selector).textContent()) ?? ''

/** Waits until the text of an element is like this. */
async function reads(page: Page, selector: string, like: RegExp): Promise<void> {
  await page.locator(selector, { hasText: like }).waitFor()
}

/** What is drawn on each canvas: how many colours, and all of it. */
async function drawn(page: Page, selector: string): Promise<{ colours: number; all: string }[]> {
  return page.evaluate(`[...document.querySelectorAll('${selector}')].map(canvas => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height)
    const context = copy.getContext('2d', { willReadFrequently: true })
    context.drawImage(canvas, 0, 0)
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
    return { colours: new Set(new Uint32Array(data.buffer)).size, all: canvas.toDataURL() }
  })`)
}

/** Presses Tab this often. Returns what had the focus each time. */
async function tabThrough(page: Page, times: number): Promise<string[]> {
  const names: string[] = []
  for (let i = 0; i < times; i++) {
    await page.keyboard.press('Tab')
    names.push(
      await page.evaluate(
        `(({ id, hash, value, ariaLabel }) => hash || id || ariaLabel || value)(document.activeElement)`,
      ),
    )
  }
  return names
}

pageTest('all that is live is shown', {}, async (t, { page, port }) => {
  const peer = await openPeer(port)
  await ask(peer, 'set a 0 0 1\r\n1\r\nget a b\r\n', 'END\r\n')
  await reads(page, '.tile:has-text("Items") .value', /^[1-9]/)
  await reads(page, '.tile:has-text("Connections") .value', /^1/)
  t.ok(
    await comesTrue(async () => (await drawn(page, '.chart canvas')).every(one => one.colours > 3)),
    'lines are drawn',
  )
  t.equal(await page.locator('.chart canvas').count(), CHARTS)
  t.match(await textOf(page, '.chart:has-text("Requests per second") .keys'), /gets\s*[\d.]/)
  t.ok(
    (await drawn(page, '#map')).every(one => one.colours > 2),
    'pages are drawn',
  )
  t.match(await textOf(page, '#map-facts'), /pages in 2 arenas: .* in use/)
  t.ok((await page.locator('#classes tbody tr').count()) > 0)
  t.equal(await page.locator('#workers tbody tr').count(), 3)
  t.equal(await page.locator('#arenas tbody tr').count(), 2)
  await reads(page, '#curve', /Estimated from [\d,]+ keys/)
  await reads(page, '#prefixes', /user/)
  await page.locator('#peers').scrollIntoViewIfNeeded()
  await reads(page, '#peers', /tcp:127\.0\.0\.1:\d+/)
  t.equal(
    await page.title(),
    `memslab 127.0.0.1:${port} on ${(await textOf(page, '#where')).split(',')[0]}`,
  )
})

pageTest(
  'a square of several pages shows their mix',
  { args: ['-m', '9000'] },
  async (t, { page, port }) => {
    const peer = await openPeer(port)
    for (let i = 0; i < 1500; i++) {
      const value = 'v'.repeat(20_000 * (i % 5))
      peer.write(`set mix:${i} 0 0 ${value.length} noreply\r\n${value}\r\n`)
    }
    await ask(peer, 'mn\r\n', 'MN\r\n')
    peer.destroy()
    await reads(
      page,
      '#map-facts',
      /A square is 3 pages of 1 MiB, .* [89],\d{3} pages in \d+ arenas/,
    )
    const box = await page.locator('#map').boundingBox()
    const mixed = async () => {
      for (let x = 4; x < (box?.width ?? 0); x += 5) {
        await page.locator('#map').hover({ position: { x, y: 3 }, force: true })
        const text = await textOf(page, '#map-tip')
        if (/^Arena 0, pages from \d+ to \d+: about \d+ % class/.test(text)) return true
      }
      return false
    }
    t.ok(await comesTrue(mixed), 'the tip tells it')
  },
)

pageTest('paused, it stands still, and then shows what came meanwhile', {}, async (t, opened) => {
  const { page, port } = opened
  await reads(page, '#map-facts', /in use/)
  const shown = () => Promise.all([textOf(page, '#map-facts'), textOf(page, '#classes')])
  await page.locator('#pause').press('Enter')
  await reads(page, '#state', /Paused/)
  const before = await shown()
  const value = 'v'.repeat(400_000)
  for (let i = 0; i < 30; i++)
    await askOnce(port, `set long:${i} 0 0 400000\r\n${value}\r\n`, 'STORED\r\n')
  const samples = `new Promise(done => {
    let left = 3
    const events = new EventSource('events')
    events.addEventListener('sample', () => --left > 0 || done(events.close()))
  })`
  await page.evaluate(samples)
  t.same(await shown(), before)
  await page.locator('#pause').press('Enter')
  const isNew = async () => (await shown()).every((text, i) => text !== before[i])
  t.ok(await comesTrue(isNew), 'the picture too, which is sent only where it changes')
})

pageTest('a key is looked up, by hand and from the list', {}, async (t, { page, port }) => {
  await askOnce(port, 'set a%b 3 100 4\r\n\0\x01\x02\x03\r\n', '\r\n')
  await page.locator('#hot button', { hasText: HOT }).click()
  await reads(page, '#look-up-result', /is here/)
  t.equal(await page.inputValue('#look-up-key'), HOT)
  await page.check('#look-up-value')
  await page.click('#look-up-form button')
  await reads(page, '#look-up-result pre', /^hello$/)
  await page.fill('#look-up-key', 'a%b')
  await page.keyboard.press('Enter')
  await reads(page, '#look-up-result pre', /^00 01 02 03$/)
  t.match(await textOf(page, '#look-up-result'), /a%b is here.*Client flags\s*3/s)
  await page.fill('#look-up-key', '%00')
  await page.keyboard.press('Enter')
  await reads(page, '#look-up-result', /%00 is not here/)
  t.equal(await page.locator('button.danger:visible').count(), 0, 'nothing can be changed')
})

pageTest(
  'with --admin-write an item is deleted, and all are flushed',
  { args: ['--admin-write'] },
  async (t, { page, port }) => {
    const get = (key: string) => askOnce(port, `get ${key}\r\n`, 'END\r\n')
    await askOnce(port, 'set a 0 0 1\r\n1\r\nset b 0 0 1\r\n1\r\nmn\r\n', 'MN\r\n')
    await page.fill('#look-up-key', 'a')
    await page.keyboard.press('Enter')
    const remove = page.locator('#look-up-result button')
    await remove.click()
    await page.locator('#confirm button', { hasText: 'Cancel' }).click()
    t.match(await get('a'), 'VALUE', 'it asks first')
    await remove.click()
    t.match(await textOf(page, '#confirm'), /Delete “a”\?/)
    await page.click('#confirm-yes')
    await reads(page, '#look-up-result', /a was deleted/)
    t.equal(await get('a'), 'END\r\n')
    t.match(await get('b'), 'VALUE')
    await page.click('#flush')
    await page.click('#confirm-yes')
    await reads(page, '#flush-result', /Flushed at/)
    t.equal(await get('b'), 'END\r\n')
  },
)

pageTest(
  'with --admin-write a setting is changed',
  { args: ['--admin-write'] },
  async (t, { page, port, complaints }) => {
    await page.locator('#settings').scrollIntoViewIfNeeded()
    await page.fill('#settings-filter', 'verb')
    await page.getByRole('button', { name: 'Change verbosity' }).click()
    await page.fill('#change-value', '2')
    await page.keyboard.press('Enter')
    await reads(page, '#settings-note', /verbosity is now 2/)
    t.equal((await statsOf(port, 'settings')).get('verbosity'), '2')
    await reads(page, '#settings-list', /by admin:127.0.0.1/)
    await page.getByRole('button', { name: 'Change verbosity' }).click()
    await page.fill('#change-value', 'many')
    await page.click('#change-yes')
    await reads(page, '#settings-note', /verbosity: value must be a number from 0 to 3/)
    t.match(complaints.splice(0), [/status of 400/], 'the browser tells of the refusal')
    await page.fill('#settings-filter', 'num_threads')
    await reads(page, '#settings-list', /num_threads/)
    t.equal(await page.locator('#settings-list button:visible').count(), 0, 'it needs a restart')
  },
)

pageTest('lines of watchers', {}, async (t, { page, port }) => {
  await page.check('#watch [value=mutations]')
  await page.click('#watch-start')
  await reads(page, '#watch-note', /Watching/)
  t.ok(await comesTrue(async () => (await statsOf(port)).get('log_watchers') === '1'))
  await askOnce(port, 'set <b>x</b> 0 0 1\r\n1\r\n', '\r\n')
  await reads(page, '#watch-lines', /item_store\s+key=<b>x<\/b> status=stored/)
  await page.click('#watch-start')
  await reads(page, '#watch-note', /Stopped/)
  t.ok(await comesTrue(async () => (await statsOf(port)).get('log_watchers') === '0'))
})

pageTest(
  'the page comes back with its daemon',
  {},
  async (t, { page, admin, port, pid, complaints }) => {
    process.kill(pid, 'SIGKILL')
    await page.locator('#state[data-state=lost]').waitFor()
    await startDaemonOn(t, port, ['--admin', `${admin}`])
    await page.locator('#state[data-state=live]').waitFor()
    await reads(page, '.tile:has-text("Items") .value', /^0/)
    // The browser tells of the connection that broke.
    t.ok(
      complaints.every(text => /net::ERR_/.test(text)),
      complaints.join(),
    )
    complaints.length = 0
  },
)

pageTest('the keyboard reaches everything, in order', {}, async (t, { page }) => {
  t.equal((await tabThrough(page, 1))[0], '#main', 'first the link that skips the rest')
  await page.keyboard.press('Enter')
  t.equal(await page.evaluate('document.activeElement.id'), 'main')
  t.match((await tabThrough(page, 1))[0], /^Requests per second/)
  await page.keyboard.press('ArrowLeft')
  await reads(page, '[aria-live=polite]', /^\d+:\d+:\d+.*: gets .*, sets .*, others /)
  await page.reload()
  await page.locator('#state[data-state=live]').waitFor()
  const names = await tabThrough(page, 11)
  const links = [
    'overview',
    'memory',
    'evictions',
    'keys',
    'connections',
    'look-up',
    'watch',
    'settings',
  ]
  t.same(names, ['#main', '300', 'pause', ...links.map(id => `#${id}`)])
  t.equal(await page.evaluate('document.activeElement.matches(":focus-visible")'), true)
  await page.locator('#pause').press('Enter')
  await reads(page, '#state', /Paused/)
  await page.locator('#pause').press('Enter')
  await reads(page, '#state', /Live/)
})

pageTest(
  'axe finds no barrier, in the light and in the dark',
  { args: ['--admin-write'] },
  async (t, { page }) => {
    await page.locator('#hot button').first().click()
    await reads(page, '#look-up-result', /is here/)
    t.same(await findBarriers(page), [])
    const light = await page.evaluate('getComputedStyle(document.body).backgroundColor')
    const [map] = await drawn(page, '#map')
    await page.emulateMedia({ colorScheme: 'dark' })
    t.same(await findBarriers(page), [])
    t.not(await page.evaluate('getComputedStyle(document.body).backgroundColor'), light)
    t.not((await drawn(page, '#map'))[0]?.all, map?.all, 'what is drawn changes too')
  },
)

pageTest(
  'a phone needs no sideways scrolling',
  { args: ['--admin-write'], viewport: PHONE, hasTouch: true },
  async (t, { page }) => {
    await page.locator('#hot button').first().click()
    await reads(page, '#look-up-result', /is here/)
    for (const width of [PHONE.width, 320, 700, 1000]) {
      await page.setViewportSize({ ...PHONE, width })
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), width)
    }
  },
)
