// Reads the sources that tidy checks: parses each file once and keeps what the rules need (imports,
// functions, comments, strings, waits, `any`). Only this file knows the compiler's unstable API.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import {
  isBlock,
  isCallExpression,
  isExportDeclaration,
  isFunctionLikeDeclaration,
  isIdentifier,
  isImportDeclaration,
  isImportTypeNode,
  isStringLiteral,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast'
import { API, type Snapshot } from 'typescript/unstable/sync'

export interface Import {
  /** A package as written; a relative import as a path from the root, `lib/engine/status.ts`. */
  target: string
  relative: boolean
  dynamic: boolean
  line: number
}

export interface Source {
  /** Path from the root, with forward slashes. */
  path: string
  lines: string[]
  imports: Import[]
  functions: { line: number; bodyLines: number; parameters: number }[]
  /** Lines that are a comment or end in one. */
  commentLines: number[]
  /** String literals. */
  texts: { text: string; line: number }[]
  /** What continues in a later turn of the event loop: `await`, `setImmediate`, `nextTick`. */
  waits: { word: string; line: number }[]
  anyLines: number[]
  /** Line of the first statement that is not a re-export. */
  ownCodeLine: number | undefined
}

const WAITING = new Set(['setImmediate', 'nextTick'])

// The parser sees the sources under this virtual root and no other file of the machine.
const VIRTUAL_ROOT = '/sources/'

export function readSources(root: string, folders: readonly string[]): Source[] {
  const paths = folders.flatMap(folder => listFiles(root, folder)).sort()
  if (paths.length === 0) return []
  const texts = new Map(paths.map(path => [path, readFileSync(join(root, path), 'utf8')]))
  const api = new API({ cwd: VIRTUAL_ROOT, fs: virtualFiles(texts) })
  try {
    const snapshot = api.updateSnapshot({ openFiles: paths.map(path => VIRTUAL_ROOT + path) })
    return paths.map(path => readSource(path, parsed(snapshot, path)))
  } finally {
    api.close()
  }
}

function listFiles(root: string, folder: string): string[] {
  if (!existsSync(join(root, folder))) return []
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return names.filter(name => name.endsWith('.ts')).map(name => posix.join(folder, name))
}

function virtualFiles(texts: Map<string, string>) {
  const pathOf = (name: string) => name.slice(VIRTUAL_ROOT.length)
  return {
    readFile: (name: string) => texts.get(pathOf(name)) ?? null,
    fileExists: (name: string) => texts.has(pathOf(name)),
    directoryExists: (name: string) => VIRTUAL_ROOT.startsWith(`${name}/`),
    getAccessibleEntries: () => ({ files: [], directories: [] }),
    realpath: (name: string) => name,
  }
}

function parsed(snapshot: Snapshot, path: string): SourceFile {
  const name = VIRTUAL_ROOT + path
  const file = snapshot.getDefaultProjectForFile(name)?.program.getSourceFile(name)
  if (file === undefined) throw new Error(`${path} could not be parsed`)
  return file
}

function readSource(path: string, file: SourceFile): Source {
  const source: Source = {
    path,
    lines: file.text.replace(/\n$/, '').split('\n'),
    imports: [],
    functions: [],
    commentLines: [],
    texts: [],
    waits: [],
    anyLines: [],
    ownCodeLine: undefined,
  }
  source.commentLines = commentLinesOf(source.lines)
  const lineStarts = startsOfLines(file.text)
  const lineAt = (position: number) => lineStarts.findLastIndex(start => start <= position) + 1
  const own = file.statements.find(node => !isExportDeclaration(node) || !node.moduleSpecifier)
  if (own !== undefined) source.ownCodeLine = lineAt(own.getStart(file))
  const bodyLinesOf = (body: Node) => {
    if (!isBlock(body)) return 1
    return Math.max(lineAt(body.end - 1) - lineAt(body.getStart(file)) - 1, 1)
  }
  const visit = (node: Node) => {
    const line = lineAt(node.getStart(file))
    const written = specifierOf(node)
    if (written !== undefined) {
      source.imports.push({ ...targetOf(path, written), dynamic: isCallExpression(node), line })
    }
    if (isFunctionLikeDeclaration(node) && node.body !== undefined) {
      const parameters = node.parameters.length
      source.functions.push({ line, bodyLines: bodyLinesOf(node.body), parameters })
    }
    if (isStringLiteral(node)) source.texts.push({ text: node.text, line })
    if (node.kind === SyntaxKind.AwaitExpression) source.waits.push({ word: 'await', line })
    if (isIdentifier(node) && WAITING.has(node.text)) source.waits.push({ word: node.text, line })
    if (node.kind === SyntaxKind.AnyKeyword) source.anyLines.push(line)
    node.forEachChild(visit)
  }
  file.forEachChild(visit)
  return source
}

/** Comment lines and lines with a comment after code. No string in this project contains ` // `. */
function commentLinesOf(lines: string[]): number[] {
  const found: number[] = []
  lines.forEach((line, index) => {
    if (/^\s*(\/\/|\/?\*)/.test(line) || /\s\/\/ [^'"`]*$/.test(line)) found.push(index + 1)
  })
  return found
}

function startsOfLines(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

// What an import or export declaration, an `import('...')` call or an `import('...')` type imports.
function specifierOf(node: Node): string | undefined {
  if (isImportDeclaration(node)) return unquoted(node.moduleSpecifier)
  if (isExportDeclaration(node)) return unquoted(node.moduleSpecifier)
  if (isImportTypeNode(node)) return unquoted(node.argument)
  if (!isCallExpression(node) || node.expression.kind !== SyntaxKind.ImportKeyword) return undefined
  return unquoted(node.arguments[0])
}

function unquoted(node: Node | undefined): string | undefined {
  const [, text] = /^['"`](.*)['"`]$/.exec(node?.getText() ?? '') ?? []
  return text
}

function targetOf(path: string, written: string): { target: string; relative: boolean } {
  if (!written.startsWith('.')) return { target: written, relative: false }
  return { target: posix.join(posix.dirname(path), written), relative: true }
}
