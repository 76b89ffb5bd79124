/** A daemon. What an upgrade starts in its place dies when the content is on its way. */
import { LEGACY_VARIABLE } from '../../lib/server/succession/legacy.ts'

if (process.env[LEGACY_VARIABLE] === undefined) await import('../../lib/main.ts')
else {
  process.on('message', () => process.kill(process.pid, 'SIGKILL'))
  process.send?.({ ready: { isSameForm: true } })
}
