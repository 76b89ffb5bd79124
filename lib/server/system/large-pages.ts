// -L: large pages for items. Items are spread over their arena, so with pages of 4 KiB nearly every
// request misses the TLB. The C library can ask the kernel for large pages, but only by a setting
// that it reads when the process starts. So the process executes itself again, with the same id and
// that setting.

import { readFileSync } from 'node:fs'

const SETTING = 'GLIBC_TUNABLES'
const TUNABLE = 'glibc.malloc.hugetlb'
const KERNEL = '/sys/kernel/mm/transparent_hugepage/enabled'
const GLIBC_MIN = [2, 35]

/**
 * Does not return if the process is executed again. Else returns why there are no large pages, if
 * so.
 */
export function useLargePages(): string | undefined {
  const before = process.env[SETTING]
  const kernel = readKernel()
  if (kernel.includes('[always]') || before?.includes(TUNABLE)) return undefined
  if (!kernel.includes('[madvise]')) return `the kernel has them switched off (${KERNEL})`
  if (!hasGlibc()) return `they need glibc ${GLIBC_MIN.join('.')} or later`
  const setting = `${before === undefined ? '' : `${before}:`}${TUNABLE}=1`
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  process.execve?.(process.execPath, args, { ...process.env, [SETTING]: setting })
  return 'this system cannot execute a process again'
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
