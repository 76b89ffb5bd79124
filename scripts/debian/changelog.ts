// CHANGELOG.md in the form of debian/changelog: an entry a version, newest first.

interface Release {
  version: string
  date: string | undefined
  changes: string[]
}

/** Columns of a line, with its indent. */
const COLUMNS = 78

/** `version`: of the Debian package. What is not released yet belongs to it. */
export function changelogText(markdown: string, version: string, maintainer: string): string {
  const [unreleased, ...released] = releasesOf(markdown)
  const upstream = version.replace(/-[^-]*$/, '')
  const revision = version.slice(upstream.length)
  const [latest] = released
  const isSame = latest?.version === upstream
  const changes = [...unreleased.changes, ...(isSame ? latest.changes : [])]
  const entries = [
    { version: upstream, date: undefined, changes },
    ...(isSame ? released.slice(1) : released),
  ]
  return entries
    .map(({ version, date, changes }) => {
      const items = (changes.length > 0 ? changes : ['New version.']).map(itemText).join('')
      const head = `memslab (${version}${revision}) unstable; urgency=medium\n\n`
      return `${head}${items}\n -- ${maintainer}  ${dateText(date)}\n`
    })
    .join('\n')
}

/** The first one is what is not released. */
function releasesOf(markdown: string): Release[] {
  return markdown
    .split(/^## /m)
    .slice(1)
    .map(text => {
      const [head = '', ...lines] = text.split('\n')
      const [version, date] = head.split(' - ')
      return { version: version.trim(), date, changes: itemsOf(lines) }
    })
}

/** Items of lists, each as one line without links and marks. */
function itemsOf(lines: readonly string[]): string[] {
  const items: string[] = []
  for (const line of lines) {
    if (line.startsWith('- ')) items.push(line.slice(2))
    else if (line.startsWith('  ') && items.length > 0) items.push(`${items.pop()} ${line.trim()}`)
  }
  return items.map(item => item.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', ''))
}

function itemText(item: string): string {
  const lines = ['  *']
  for (const word of item.split(/\s+/)) {
    const line = `${lines.at(-1)} ${word}`
    if (line.length <= COLUMNS) lines[lines.length - 1] = line
    else lines.push(`    ${word}`)
  }
  return `${lines.join('\n')}\n`
}

/** As in mail: `Mon, 30 Nov 2026 00:00:00 +0000`. Undefined: that of the build. */
function dateText(date: string | undefined): string {
  const epochS = Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000)
  const at = date === undefined ? new Date(epochS * 1000) : new Date(`${date.trim()}T00:00:00Z`)
  return at.toUTCString().replace('GMT', '+0000')
}
