// The packages of npm that the daemon needs when it runs, and their licences.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Dependency {
  /** `node_modules/pino`. */
  path: string
  licence: string
}

interface Locked {
  license?: string
  dev?: boolean
  optional?: boolean
}

/** Their order is the lock file's. Optional ones are left out: they have machine code. */
export function productionPackages(project: string): Dependency[] {
  const lock: { packages: Record<string, Locked> } = JSON.parse(
    readFileSync(join(project, 'package-lock.json'), 'utf8'),
  )
  return Object.entries(lock.packages).flatMap(([path, { license = '', dev, optional }]) =>
    path === '' || dev === true || optional === true ? [] : [{ path, licence: license }],
  )
}

/** Names of Debian's for names of npm's. */
const LICENCES: Readonly<Record<string, string>> = {
  MIT: 'Expat',
  ISC: 'ISC',
  'Apache-2.0': 'Apache-2.0',
}

/** Paragraphs of debian/copyright: one a package, then the texts of the licences. */
export function licencesText(project: string): string {
  const packages = productionPackages(project)
  const paragraphs = packages.map(({ path, licence }) => {
    const name = LICENCES[licence]
    if (name === undefined) throw new Error(`${path} has an unknown licence: ${licence}`)
    // The text of Apache's licence names nobody.
    const holders = licence === 'Apache-2.0' ? [] : holdersOf(join(project, path))
    const copyright = (holders.length > 0 ? holders : ['its contributors']).join('\n           ')
    return `Files: usr/lib/memslab/${path}/*\nCopyright: ${copyright}\nLicense: ${name}\n`
  })
  return [...paragraphs, EXPAT, ISC, APACHE].join('\n')
}

function holdersOf(folder: string): string[] {
  const file = readdirSync(folder).find(name => /^licen[cs]e/i.test(name))
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8')
  const lines = text.matchAll(/^\s*Copyright (?:\(c\)|©)?\s*(.+)$/gim)
  return [...lines].map(([, holder]) => holder.trim())
}

const EXPAT = `License: Expat
 Permission is hereby granted, free of charge, to any person obtaining a copy of
 this software and associated documentation files (the "Software"), to deal in
 the Software without restriction, including without limitation the rights to
 use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies
 of the Software, and to permit persons to whom the Software is furnished to do
 so, subject to the following conditions:
 .
 The above copyright notice and this permission notice shall be included in all
 copies or substantial portions of the Software.
 .
 THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
 FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
 AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
 SOFTWARE.
`

const ISC = `License: ISC
 Permission to use, copy, modify, and/or distribute this software for any
 purpose with or without fee is hereby granted, provided that the above
 copyright notice and this permission notice appear in all copies.
 .
 THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
 REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY
 AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
 INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM
 LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR
 OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR
 PERFORMANCE OF THIS SOFTWARE.
`

const APACHE = `License: Apache-2.0
 On Debian systems the full text of this licence is in
 /usr/share/common-licenses/Apache-2.0.
`
