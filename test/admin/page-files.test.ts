// The files of the page: served from the sources as the compiler would make them, and all there.

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { PageFiles } from '../../lib/admin/page-files.ts'
import { fetchFrom, startWithAdmin } from '../support/admin.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const IMPORT = /^(?:im|ex)port [^;]*?from ['"]([^'"]+)['"]/gm
/** What an attribute of the page refers to, beside it: a proxy may have it below a path. */
const REFERENCE = /(?:src|href)="([^"#][^"]*)"/g

t.test('the page, and all that it and its modules name', async t => {
  const { admin } = await startWithAdmin(t)
  const index = await fetchFrom(admin, '/')
  t.match(index, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' } })
  t.notMatch(index.text, /https?:|<style|style=|<script>|\son\w+=/, 'nothing inline, no outside')
  const queue = [...index.text.matchAll(REFERENCE)].map(([, path]) => `/${path}`)
  const seen = new Set<string>()
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    const { status, headers, text } = await fetchFrom(admin, path)
    t.equal(status, 200, path)
    if (!path.endsWith('.js')) continue
    t.equal(headers['content-type'], 'text/javascript; charset=utf-8')
    for (const [, target = ''] of text.matchAll(IMPORT)) {
      t.match(target, /^\.\/[\w-]+\.js$/, `${path} imports ${target}`)
      queue.push(`/page/${target.slice(2)}`)
    }
  }
  const modules = readdirSync(join(ROOT, 'page')).filter(name => name.endsWith('.ts'))
  const unused = modules.filter(name => !seen.has(`/page/${name.replace('.ts', '.js')}`))
  t.same(unused, [], 'every module is loaded')
  for (const path of ['/page/', '/page/page.ts', '/page/tsconfig.json', '/page/../package.json']) {
    t.match(await fetchFrom(admin, path), { status: 404 }, path)
  }
  t.match(await fetchFrom(admin, '/', { method: 'HEAD' }), { status: 200, text: '' })
  t.match(await fetchFrom(admin, '/', { method: 'POST' }), { status: 405 })
})

t.test('whoever takes gzip gets it', async t => {
  const { admin } = await startWithAdmin(t)
  const headers = { 'accept-encoding': 'gzip, br' }
  t.match(await fetchFrom(admin, '/page/uplot.js', { headers }), {
    headers: { 'content-encoding': 'gzip' },
  })
  const { body, compressed } = (await new PageFiles().find('/page/page.css')) ?? {}
  t.ok(compressed !== undefined && gunzipSync(compressed).equals(body ?? Buffer.alloc(0)))
})

t.test('the compiler makes the same modules', async t => {
  const folder = t.testdir()
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const line = [tsc, '-p', join(ROOT, 'page/tsconfig.build.json'), '--outDir', folder]
  execFileSync(process.execPath, line, { cwd: ROOT })
  const built = new PageFiles(pathToFileURL(join(folder, 'page/')))
  const sources = new PageFiles()
  const names = readdirSync(join(folder, 'page')).filter(name => name.endsWith('.js'))
  t.equal(names.length, readdirSync(join(ROOT, 'page')).filter(n => n.endsWith('.ts')).length)
  for (const name of names) {
    const [served, fromSource] = await Promise.all(
      [built, sources].map(files => files.find(`/page/${name}`)),
    )
    const targets = importsOf(served?.body.toString() ?? '')
    t.same(targets, importsOf(fromSource?.body.toString() ?? ''), name)
    t.ok(
      targets.every(target => /^\.\/[\w-]+\.js$/.test(target)),
      targets.join(),
    )
  }
})

function importsOf(text: string): string[] {
  return [...text.matchAll(IMPORT)].map(([, target = '']) => target).sort()
}
