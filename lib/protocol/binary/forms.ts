// The form of a frame for each opcode, by the opcode's byte. Opcodes that memcached does not
// implement, such as the range commands and `verbosity`, are unknown here too.

import { ADJUST_EXTRA_BYTES, EXPTIME_BYTES, Opcode, STORE_EXTRA_BYTES } from './layout.ts'

export interface Form {
  /** The operation: the loud twin of a quiet opcode; UNKNOWN if there is none. */
  readonly opcode: number
  /** Success, or a miss of a get, is not answered. */
  readonly quiet: boolean
  readonly extraBytes: number
  /** The extras are optional. */
  readonly extrasOptional: boolean
  readonly key: Key
  /** Bytes may follow the key. */
  readonly value: boolean
}

const Key = { NONE: 0, NEEDED: 1, OPTIONAL: 2 } as const
type Key = (typeof Key)[keyof typeof Key]

export const UNKNOWN = -1

const OPCODES = 256

/** By opcode, including quiet ones. */
export const FORMS: readonly Form[] = buildForms()

/** Whether a frame has exactly the parts of its opcode. */
export function hasForm(
  form: Form,
  extraBytes: number,
  keyBytes: number,
  valueBytes: number,
): boolean {
  if (extraBytes !== form.extraBytes && !(form.extrasOptional && extraBytes === 0)) return false
  if (valueBytes > 0 && !form.value) return false
  return form.key === Key.OPTIONAL || keyBytes > 0 === (form.key === Key.NEEDED)
}

function buildForms(): Form[] {
  const forms = Array.from({ length: OPCODES }, () =>
    formOf(UNKNOWN, { key: Key.OPTIONAL, value: true }),
  )
  const add = (opcode: number, quietTwin: number, parts: Partial<Form>) => {
    forms[opcode] = formOf(opcode, parts)
    if (quietTwin !== UNKNOWN) forms[quietTwin] = formOf(opcode, { ...parts, quiet: true })
  }
  const key = Key.NEEDED
  const stored = { extraBytes: STORE_EXTRA_BYTES, key, value: true }
  const adjusted = { extraBytes: ADJUST_EXTRA_BYTES, key }
  const touched = { extraBytes: EXPTIME_BYTES, key, value: true }
  add(Opcode.GET, Opcode.GETQ, { key })
  add(Opcode.GETK, Opcode.GETKQ, { key })
  add(Opcode.GAT, Opcode.GATQ, touched)
  add(Opcode.GATK, Opcode.GATKQ, touched)
  add(Opcode.TOUCH, UNKNOWN, touched)
  add(Opcode.SET, Opcode.SETQ, stored)
  add(Opcode.ADD, Opcode.ADDQ, stored)
  add(Opcode.REPLACE, Opcode.REPLACEQ, stored)
  add(Opcode.APPEND, Opcode.APPENDQ, { key, value: true })
  add(Opcode.PREPEND, Opcode.PREPENDQ, { key, value: true })
  add(Opcode.DELETE, Opcode.DELETEQ, { key })
  add(Opcode.INCREMENT, Opcode.INCREMENTQ, adjusted)
  add(Opcode.DECREMENT, Opcode.DECREMENTQ, adjusted)
  add(Opcode.QUIT, Opcode.QUITQ, {})
  add(Opcode.FLUSH, Opcode.FLUSHQ, { extraBytes: EXPTIME_BYTES, extrasOptional: true })
  add(Opcode.NOOP, UNKNOWN, {})
  add(Opcode.VERSION, UNKNOWN, {})
  add(Opcode.STAT, UNKNOWN, { key: Key.OPTIONAL, value: true })
  add(Opcode.SASL_LIST_MECHS, UNKNOWN, {})
  add(Opcode.SASL_AUTH, UNKNOWN, { key, value: true })
  add(Opcode.SASL_STEP, UNKNOWN, { key, value: true })
  return forms
}

// Every field is given, so that all forms have the same hidden class.
function formOf(opcode: number, parts: Partial<Form>): Form {
  return {
    opcode,
    quiet: parts.quiet ?? false,
    extraBytes: parts.extraBytes ?? 0,
    extrasOptional: parts.extrasOptional ?? false,
    key: parts.key ?? Key.NONE,
    value: parts.value ?? false,
  }
}
