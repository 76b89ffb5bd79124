// Why the system refused something, in strerror's words.

// A default import, because an old Node lacks the name (node-check.ts).
import util from 'node:util'

/** The words for an error number. */
export function reasonFor(errno: number | undefined): string {
  if (errno === undefined) return 'Unknown error'
  const reason = util.getSystemErrorMessage(errno)
  return reason.charAt(0).toUpperCase() + reason.slice(1)
}

/** The reason in anything that was thrown. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { errno, message } = error as NodeJS.ErrnoException
  return errno === undefined ? message : reasonFor(errno)
}

/** Why something failed, in one line, or null. */
export function faultOf(work: () => void): string | null {
  try {
    work()
    return null
  } catch (error) {
    return reasonOf(error)
  }
}
