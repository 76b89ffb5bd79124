// What the Debian package is made of: its changelog, its dependencies, its licences.

import { fileURLToPath } from 'node:url'
import t from 'tap'
import { changelogText } from '../../scripts/debian/changelog.ts'
import { licencesText, productionPackages } from '../../scripts/debian/dependencies.ts'

const PROJECT = fileURLToPath(new URL('../../', import.meta.url))
const WHO = 'A B <a@b.invalid>'
const RELEASED = `# Changelog

Words.

## Unreleased

### Added

- New \`-x\`, which is
  long ([docs](docs/x.md)).

## 0.2.0 - 2026-02-03

### Fixed

- Old.

## 0.1.0 - 2026-01-02

- First.
`

t.test('the changelog has an entry a version, newest first', async t => {
  const text = changelogText(RELEASED, '0.2.0-1', WHO)
  t.match(
    text,
    /^memslab \(0\.2\.0-1\) unstable; urgency=medium\n\n {2}\* New -x, which is long \(docs\)\.\n {2}\* Old\.\n\n -- A B <a@b\.invalid> {2}\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\n/,
    'what is not released belongs to the version that is built',
  )
  t.ok(
    text.endsWith(
      `memslab (0.1.0-1) unstable; urgency=medium\n\n  * First.\n\n -- ${WHO}  Fri, 02 Jan 2026 00:00:00 +0000\n`,
    ),
  )
})

t.test('a version that has no entry yet gets one', async t => {
  const text = changelogText(RELEASED, '0.3.0-2', WHO)
  t.match(text, /^memslab \(0\.3\.0-2\)[\s\S]*New -x[\s\S]*\nmemslab \(0\.2\.0-2\)/)
})

t.test('no line is longer than 80 columns, unless by one word', async t => {
  const text = changelogText(`## Unreleased\n\n- ${'word '.repeat(200)}\n`, '1.0.0-1', WHO)
  t.ok(text.split('\n').every(line => line.length <= 80))
})

t.test('only what the daemon needs is in it, and each licence is named', async t => {
  const paths = productionPackages(PROJECT).map(({ path }) => path)
  t.ok(paths.includes('node_modules/piscina'))
  t.notOk(paths.includes('node_modules/tap'))
  t.notOk(
    paths.some(path => path.includes('@napi-rs')),
    'no machine code',
  )
  const text = licencesText(PROJECT)
  for (const path of paths) t.ok(text.includes(`Files: usr/lib/memslab/${path}/*\n`))
})
