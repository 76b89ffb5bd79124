// `npm run tidy`: checks the house rules that the compiler and the linter do not know. The tables
// are in tidy/house.ts; each rule is one function here. Each breach is printed as `file:line:
// what`.

import { basename, posix } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  FFI_HOME,
  FLOORS,
  GUARDED,
  HOMES,
  NAMESAKES,
  REQUEST_PATH,
  ROWS,
  WAITS,
} from './tidy/house.ts'
import { type Import, readSources, type Source } from './tidy/source.ts'

export interface Breach {
  path: string
  line: number
  what: string
}

const FOLDERS = ['lib', 'page', 'workers', 'scripts', 'test']
const FUNCTION_LINES_MAX = 60
const FILE_LINES_MAX = 500
const PARAMETERS_MAX = 5
const COLUMNS_MAX = 100

/** Files that may be longer, because they are data; each with its reason. */
const DATA_TABLES: Readonly<Record<string, string>> = {}

// In parts, so that this file does not break its own rules.
const UNFINISHED = new RegExp(`\\b(${'TO'}DO|${'FIX'}ME)\\b`)
const FFI = ['node', 'ffi'].join(':')

/** All breaches under `root`, sorted by file and line. */
export function findBreaches(root: string, dataTables = DATA_TABLES): Breach[] {
  const sources = readSources(root, FOLDERS)
  const breaches = sources.flatMap(source => [
    ...source.imports.flatMap(entry => breachesOfImport(source, entry)),
    ...breachesOfShape(source),
    ...breachesOfSize(source, dataTables),
    ...breachesOfComments(source),
    ...breachesOfReach(source),
  ])
  breaches.push(...breachesOfCycles(sources), ...breachesOfNames(sources))
  return breaches.sort((a, b) => a.path.localeCompare(b.path) || a.line - b.line)
}

function breachesOfImport({ path }: Source, entry: Import): Breach[] {
  const what = entry.relative ? whatOfFile(path, entry) : whatOfPackage(path, entry.target)
  return what === undefined ? [] : [{ path, line: entry.line, what }]
}

function whatOfFile(path: string, { target, dynamic }: Import): string | undefined {
  if (path === 'lib/main.ts' && !dynamic) return 'lib/main.ts may import only dynamically'
  if (!/\.ts$/.test(target) && !/\.json$/.test(target)) return `import of ${target} without .ts`
  const [, allowed] = FLOORS.find(([from]) => isWithin(path, from)) ?? []
  if (allowed === undefined) return undefined // breachesOfShape reports the file once
  if (!isWithinAny(target, allowed)) return `may not import ${target}`
  const guests = GUARDED[target]
  if (guests !== undefined && !isWithinAny(path, [...guests, folderOf(target)])) {
    return `may not import ${target}, which is for ${guests.join(', ')}`
  }
  return whatOfRows(path, target)
}

/** Compares the rows of both files in the innermost folder that contains both. */
function whatOfRows(path: string, target: string): string | undefined {
  let folder = folderOf(path)
  while (folder !== '' && !target.startsWith(folder)) folder = folderOf(folder)
  const rows = ROWS[folder]
  if (rows === undefined) return undefined
  const from = rowOf(rows, partIn(folder, path))
  const to = rowOf(rows, partIn(folder, target))
  if (from < 0 || to < 0 || from < to) return undefined
  return `may not import ${target}, which is not below it in ${folder}`
}

function whatOfPackage(path: string, target: string): string | undefined {
  const module = target.startsWith('@')
    ? target.split('/').slice(0, 2).join('/')
    : (target.split('/')[0] ?? target)
  const homes = HOMES[module]
  if (homes === undefined) return target.startsWith('node:') ? undefined : `${target} has no home`
  if (isWithinAny(path, homes)) return undefined
  return `may not import ${target}, whose home is ${homes.join(', ') || 'nowhere'}`
}

function breachesOfShape({ path, lines, anyLines, ownCodeLine }: Source): Breach[] {
  const breaches: Breach[] = anyLines.map(line => ({ path, line, what: '`any`' }))
  const at = (line: number, what: string) => breaches.push({ path, line, what })
  lines.forEach((line, index) => {
    const [word] = UNFINISHED.exec(line) ?? []
    if (word !== undefined) at(index + 1, `${word} left behind`)
  })
  if (!FLOORS.some(([from]) => isWithin(path, from))) at(1, 'not in the table of floors')
  for (let folder = folderOf(path), part = path; folder !== ''; folder = folderOf(folder)) {
    const rows = ROWS[folder]
    part = partIn(folder, path)
    if (rows !== undefined && rowOf(rows, part) < 0) at(1, `${part} has no row in ${folder}`)
  }
  if (!isWithin(path, 'test/') && !beginsWithComment(lines)) at(1, 'no head comment')
  if (path === 'lib/index.ts' && ownCodeLine !== undefined)
    at(ownCodeLine, 'only re-exports are allowed here')
  return breaches
}

function breachesOfSize({ path, lines, functions }: Source, dataTables: object): Breach[] {
  const breaches: Breach[] = []
  for (const { line, bodyLines, parameters } of functions) {
    if (bodyLines > FUNCTION_LINES_MAX) {
      const what = `function of ${bodyLines} lines, ${FUNCTION_LINES_MAX} are allowed`
      breaches.push({ path, line, what })
    }
    if (parameters > PARAMETERS_MAX) {
      const what = `function of ${parameters} parameters, ${PARAMETERS_MAX} are allowed`
      breaches.push({ path, line, what })
    }
  }
  if (lines.length > FILE_LINES_MAX && !(path in dataTables)) {
    const what = `file of ${lines.length} lines, ${FILE_LINES_MAX} are allowed`
    breaches.push({ path, line: FILE_LINES_MAX + 1, what })
  }
  return breaches
}

/** The formatter limits the columns of code, but not of comments. */
function breachesOfComments({ path, lines, commentLines }: Source): Breach[] {
  return commentLines
    .filter(line => (lines[line - 1]?.length ?? 0) > COLUMNS_MAX)
    .map(line => ({ path, line, what: `comment beyond column ${COLUMNS_MAX}` }))
}

/** One file alone calls native code, and the request path does not wait. */
function breachesOfReach({ path, texts, waits }: Source): Breach[] {
  const breaches: Breach[] = []
  const isLib = isWithinAny(path, ['lib/', 'workers/'])
  for (const { text, line } of texts) {
    if (!isLib || text !== FFI || path === FFI_HOME) continue
    breaches.push({ path, line, what: `only ${FFI_HOME} may use ${FFI}` })
  }
  if (!isWithinAny(path, REQUEST_PATH)) return breaches
  for (const { word, line } of waits) {
    if (WAITS[path]?.includes(word)) continue
    breaches.push({ path, line, what: `${word} in the request path` })
  }
  return breaches
}

function breachesOfNames(sources: Source[]): Breach[] {
  const first = new Map<string, string>()
  const breaches: Breach[] = []
  for (const { path } of sources) {
    if (!isWithinAny(path, ['lib/'])) continue
    const name = basename(path)
    const other = first.get(name)
    if (other === undefined) first.set(name, path)
    else if (NAMESAKES[name] === undefined) {
      breaches.push({ path, line: 1, what: `same name as ${other}, and not in NAMESAKES` })
    }
  }
  return breaches
}

// Depth first: a file that is reached again while its own imports are followed closes a cycle.
function breachesOfCycles(sources: Source[]): Breach[] {
  const byPath = new Map(sources.map(source => [source.path, source]))
  const finished = new Set<string>()
  const breaches: Breach[] = []
  const follow = (source: Source, trail: string[]) => {
    const here = [...trail, source.path]
    for (const { target, line } of source.imports) {
      const next = byPath.get(target)
      if (next === undefined || finished.has(target)) continue
      const from = here.indexOf(target)
      if (from < 0) follow(next, here)
      else {
        const what = `import cycle: ${[...here.slice(from), target].join(' -> ')}`
        breaches.push({ path: source.path, line, what })
      }
    }
    finished.add(source.path)
  }
  for (const source of sources) if (!finished.has(source.path)) follow(source, [])
  return breaches
}

function isWithin(path: string, place: string): boolean {
  return place.endsWith('/') ? path.startsWith(place) : path === place
}

function isWithinAny(path: string, places: readonly string[]): boolean {
  return places.some(place => isWithin(path, place))
}

/** The folder of a file or of a folder, with its slash; empty at the root. */
function folderOf(path: string): string {
  const folder = posix.dirname(path)
  return folder === '.' ? '' : `${folder}/`
}

/** The first part of the path below the folder: `layout.ts`, or `arena/`. */
function partIn(folder: string, path: string): string {
  const inside = path.slice(folder.length)
  const slash = inside.indexOf('/')
  return slash < 0 ? inside : inside.slice(0, slash + 1)
}

/** Index of the row, 0 at the top; -1: the part is in no row. */
function rowOf(rows: readonly (readonly string[])[], part: string): number {
  return rows.findIndex(row => row.includes(part))
}

function beginsWithComment([first = '', second = '']: string[]): boolean {
  return /^\/[/*]/.test(first.startsWith('#!') ? second : first)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const breaches = findBreaches(process.argv[2] ?? '.')
  for (const { path, line, what } of breaches) console.log(`${path}:${line}: ${what}`)
  if (breaches.length > 0) process.exitCode = 1
}
