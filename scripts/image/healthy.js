// The image's health check: exit code 0 while memslab says that it is healthy. It asks the admin
// listener, so it needs neither a password nor the protocol. MEMSLAB_HEALTH_URL where that is
// elsewhere.

const URL_DEFAULT = 'http://127.0.0.1:9211/healthz'
const WAIT_MS_MAX = 4000

const url = process.env.MEMSLAB_HEALTH_URL ?? URL_DEFAULT
try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS_MAX) })
  console.log(`${url}: ${answer.status}`)
  process.exitCode = answer.ok ? 0 : 1
} catch (error) {
  console.log(`${url}: ${error.cause?.message ?? error.message}`)
  process.exitCode = 1
}
