// The files of the page: those of page/, and the chart library. They are read when the listener
// starts, since the user that the daemon becomes may not read them, and made ready when they are
// asked for first: types removed where the daemon runs from its sources, then compressed.

import { readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

const FOLDER = new URL('../../page/', import.meta.url)
const INDEX = 'index.html'
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}
const compress = promisify(gzip)

export interface PageFile {
  type: string
  body: Buffer
  compressed: Buffer
}

export class PageFiles {
  /** By path: what a file has, as it was read. */
  private readonly texts = new Map<string, { type: string; text: string; isTyped: boolean }>()
  private readonly ready = new Map<string, Promise<PageFile>>()

  /** `folder`: where the page's own files are. */
  constructor(folder = FOLDER) {
    for (const name of readdirSync(folder)) this.read(name, new URL(name, folder))
    this.read('uplot.js', packaged('uplot/dist/uPlot.esm.js'))
    this.read('uplot.css', packaged('uplot/dist/uPlot.min.css'))
  }

  /** Undefined: there is no such file. */
  find(path: string): Promise<PageFile> | undefined {
    const known = this.ready.get(path)
    const read = this.texts.get(path)
    if (known !== undefined || read === undefined) return known
    const file = makeReady(read.type, read.isTyped ? withoutTypes(read.text) : read.text)
    this.ready.set(path, file)
    return file
  }

  private read(name: string, url: URL): void {
    const isTyped = name.endsWith('.ts')
    const served = isTyped ? `${name.slice(0, -2)}js` : name
    const type = TYPES[served.slice(served.lastIndexOf('.') + 1)]
    if (type === undefined) return
    const path = name === INDEX ? '/' : `/page/${served}`
    this.texts.set(path, { type, text: readFileSync(url, 'utf8'), isTyped })
  }
}

async function makeReady(type: string, text: string): Promise<PageFile> {
  // A browser knows no packages.
  const body = Buffer.from(text.replace(/( from )['"]uplot['"]/, "$1'./uplot.js'"))
  return { type, body, compressed: await compress(body) }
}

function packaged(path: string): URL {
  return new URL(import.meta.resolve(path))
}

/** As the compiler does it, for a daemon that runs from its sources. */
function withoutTypes(text: string): string {
  const { emitWarning } = process
  // That this part of Node is new does not matter to who reads the log.
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(text).replace(/( from '\.\/[\w-]+)\.ts'/g, "$1.js'")
  } finally {
    process.emitWarning = emitWarning
  }
}
