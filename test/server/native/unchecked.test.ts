// Functions of node:ffi without Node's checks: they give what the checked ones give.

import t from 'tap'
import { type Ffi, loadFfi } from '../../../lib/server/native/ffi.ts'
import { uncheckedFunctions } from '../../../lib/server/native/unchecked.ts'

const ffi = loadFfi()
const skip = ffi === undefined && 'no node:ffi'

const DEFINITIONS = {
  abs: { arguments: ['i32'], return: 'i32' },
  llabs: { arguments: ['i64'], return: 'i64' },
  getpid: { arguments: [], return: 'i32' },
} as const

type Library = InstanceType<Ffi['DynamicLibrary']>

t.test('they are the inner functions', { skip }, async t => {
  const library = new (ffi as Ffi).DynamicLibrary(null)
  const inner = uncheckedFunctions(library, DEFINITIONS)
  const outer = library.getFunctions(DEFINITIONS)
  t.not(inner.abs, outer.abs)
  t.equal(inner.abs(-5), 5)
  t.equal(inner.llabs(-(2n ** 40n)), 2n ** 40n)
  t.equal(inner.getpid(), process.pid)
  t.notOk('pointer' in Function.prototype, 'no other function is touched')
})

t.test('a missing function is an error, and leaves nothing behind', { skip }, async t => {
  const library = new (ffi as Ffi).DynamicLibrary(null)
  const missing = { no_such_function: { arguments: [], return: 'i32' } } as const
  t.throws(() => uncheckedFunctions(library, missing))
  t.notOk('pointer' in Function.prototype)
})

t.test('a Node that shows no inner functions gives its own', async t => {
  const given = { abs: Math.abs, llabs: () => 1n, getpid: () => 7 }
  const library = { getFunctions: () => given } as unknown as Library
  t.strictSame({ ...uncheckedFunctions(library, DEFINITIONS) }, given)
})
