// The page: gives what the daemon tells to the sections, at most once a frame.

import type { Detail, Hello, PageMap } from '../lib/admin/shapes.ts'
import { byId, make, setText } from './dom.ts'
import { EvictionsView } from './evictions-view.ts'
import { History } from './history.ts'
import { KeysView } from './keys-view.ts'
import { listen, type State } from './live.ts'
import { LookUpView } from './look-up-view.ts'
import { MemoryView } from './memory-view.ts'
import { Overview } from './overview.ts'
import { PeersView } from './peers-view.ts'
import { SettingsView } from './settings-view.ts'
import { WatchView } from './watch-view.ts'

const STATES = { waiting: 'Connecting', live: 'Live', lost: 'Reconnecting', paused: 'Paused' }

class Page {
  private readonly history = new History()
  private readonly said = make('p', 'hidden')
  private readonly overview = new Overview(text => setText(this.said, text))
  private readonly memory = new MemoryView()
  private readonly evictions = new EvictionsView()
  private readonly lookUp = new LookUpView()
  private readonly keys = new KeysView(key => this.lookUp.open(key))
  private readonly peers = new PeersView()
  private readonly watch = new WatchView()
  private readonly settings = new SettingsView()
  private readonly pause = byId('pause')
  private state: State = 'waiting'
  private isPaused = false
  /** What came since it was drawn last. */
  private map: PageMap | null = null
  private detail: Detail | null = null
  private isDue = false
  private wasDrawn = false
  private windowS = 300

  constructor() {
    this.said.setAttribute('aria-live', 'polite')
    document.body.append(this.said)
    this.pause.addEventListener('click', () => this.togglePause())
    byId('windows').addEventListener('change', event => {
      this.windowS = Number((event.target as HTMLInputElement).value)
      this.draw()
    })
    followSections()
  }

  start(): void {
    listen({
      hello: hello => this.hello(hello),
      sample: sample => {
        this.history.push(sample)
        this.drawSoon()
      },
      map: map => {
        this.map = map
        this.drawSoon()
      },
      detail: detail => {
        this.detail = detail
        this.drawSoon()
      },
      state: state => {
        this.state = state
        this.showState()
      },
    })
  }

  private hello(hello: Hello): void {
    const place = hello.places[0]?.replace(/^\w+:/, '') ?? ''
    const threads = hello.threads === 1 ? '1 thread' : `${hello.threads} threads`
    setText(byId('where'), `${hello.hostName}, ${place}, version ${hello.version}, ${threads}`)
    document.title = `memslab ${place} on ${hello.hostName}`
    this.lookUp.allow(hello)
    this.watch.allow(hello)
    this.settings.allow(hello)
  }

  private togglePause(): void {
    this.isPaused = !this.isPaused
    this.pause.setAttribute('aria-pressed', String(this.isPaused))
    this.showState()
    if (!this.isPaused) this.draw()
  }

  private showState(): void {
    const state = this.isPaused && this.state === 'live' ? 'paused' : this.state
    const place = byId('state')
    if (place.dataset.state !== state) place.dataset.state = state
    setText(place, STATES[state])
  }

  private drawSoon(): void {
    if (this.isDue || this.isPaused) return
    this.isDue = true
    requestAnimationFrame(() => {
      this.isDue = false
      this.draw()
    })
  }

  private draw(): void {
    const { history } = this
    if (history.last === null) return
    this.overview.show(history, this.windowS)
    this.memory.show(history)
    this.evictions.show(history)
    this.peers.show(history)
    this.drawNews()
    if (!this.wasDrawn) goToSection()
    this.wasDrawn = true
  }

  /** What is sent only where it changed. */
  private drawNews(): void {
    const { map, detail } = this
    this.map = null
    this.detail = null
    if (map !== null) this.memory.showMap(map)
    if (detail === null) return
    this.keys.show(detail)
    this.evictions.showCurve(detail.curve)
  }
}

/** Goes to the section of the address once the ones above it have their height. */
function goToSection(): void {
  if (location.hash !== '') document.getElementById(location.hash.slice(1))?.scrollIntoView()
}

/** Marks the link of the section that is being read. */
function followSections(): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>('nav a')]
  const mark = () => {
    const limit = window.innerHeight / 3
    const isAbove = ({ hash }: HTMLAnchorElement) =>
      byId(hash.slice(1)).getBoundingClientRect().top <= limit
    const isEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 2
    const current = isEnd && window.scrollY > 0 ? links.at(-1) : links.findLast(isAbove)
    for (const link of links) {
      if (link === (current ?? links[0])) link.setAttribute('aria-current', 'true')
      else link.removeAttribute('aria-current')
    }
  }
  addEventListener('scroll', mark, { passive: true })
  mark()
}

new Page().start()
