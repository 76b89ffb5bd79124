// The settings of the image, read from the last stage of its Dockerfile: written once, they are the
// same for Docker and for scripts/build-image.ts.

/** Seconds to nanoseconds, in which images count. */
const S_NS = 1_000_000_000

/** `config` of an image, as the OCI image specification has it, with Docker's health check. */
export interface ImageSettings {
  User: string
  WorkingDir: string
  ExposedPorts: Record<string, object>
  StopSignal: string
  Entrypoint: string[]
  Env: string[]
  Labels: Record<string, string>
  Healthcheck: {
    Test: string[]
    Interval: number
    Timeout: number
    StartPeriod: number
    Retries: number
  }
}

/** Throws an Error for an instruction that is missing. */
export function imageSettings(dockerfile: string, version: string): ImageSettings {
  const text = dockerfile.replaceAll('\\\n', ' ')
  const last = text.slice(text.lastIndexOf('\nFROM '))
  const of = (name: string): string => {
    const [, value] = new RegExp(`^${name} +(.+)$`, 'm').exec(last) ?? []
    if (value === undefined) throw new Error(`the Dockerfile has no ${name}`)
    return value.trim()
  }
  const health = of('HEALTHCHECK')
  const seconds = (name: string) => Number(new RegExp(`--${name}=(\\d+)s`).exec(health)?.[1]) * S_NS
  return {
    User: of('USER'),
    WorkingDir: of('WORKDIR'),
    ExposedPorts: Object.fromEntries(
      of('EXPOSE')
        .split(/ +/)
        .map(port => [`${port}/tcp`, {}]),
    ),
    StopSignal: of('STOPSIGNAL'),
    Entrypoint: JSON.parse(of('ENTRYPOINT')),
    Env: ['PATH=/usr/bin'],
    Labels: {
      'org.opencontainers.image.title': 'memslab',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': 'MIT',
    },
    Healthcheck: {
      Test: ['CMD', ...JSON.parse(health.slice(health.indexOf(' CMD ') + ' CMD '.length))],
      Interval: seconds('interval'),
      Timeout: seconds('timeout'),
      StartPeriod: seconds('start-period'),
      Retries: Number(/--retries=(\d+)/.exec(health)?.[1]),
    },
  }
}
