// -L: large pages for items. An item stands anywhere in its arena, so with pages of 4 KiB nearly every
// request waits for the processor to look up where a page is. Memory that the C library takes from
// the kernel can be marked as wanting large pages, but only by a setting that it reads when the
// process begins: so this process begins once more, under the same id, with that setting.

import { readFileSync } from 'node:fs'

const SETTING = 'GLIBC_TUNABLES'
const TUNABLE = 'glibc.malloc.hugetlb'
const KERNEL = '/sys/kernel/mm/transparent_hugepage/enabled'
const GLIBC_MIN = [2, 35]

/** Does not return where the process has to begin again; else why there are no large pages, if so. */
export function useLargePages(): string | undefined {
  const before = process.env[SETTING]
  const kernel = readKernel()
  if (kernel.includes('[always]') || before?.includes(TUNABLE)) return undefined
  if (!kernel.includes('[madvise]')) return `the kernel has them switched off (${KERNEL})`
  if (!hasGlibc()) return `they take glibc ${GLIBC_MIN.join('.')} or later`
  const setting = `${before === undefined ? '' : `${before}:`}${TUNABLE}=1`
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.execve?.(process.execPath, args, { ...process.env, [SETTING]: setting })
  return 'this system cannot begin a process anew'
}

function readKernel(): string {
  try {
    return readFileSync(KERNEL, 'utf8')
  } catch {
    return ''
  }
}

function hasGlibc(): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  const [major = 0, minor = 0] = (header.glibcVersionRuntime ?? '').split('.').map(Number)
  return major > GLIBC_MIN[0] || (major === GLIBC_MIN[0] && minor >= GLIBC_MIN[1])
}
