// Makes the container image without Docker, as an OCI layout that skopeo, podman and Docker read:
//
//   node scripts/build-image.ts [--deb build/memslab_VERSION_amd64.deb] [--to build/image]
//
// `npm run build:image` makes the package first. image/root.sh makes the files, for the Dockerfile
// too; here they become one layer, and the settings of the image are taken from that Dockerfile.
// Needs root, and a Debian of amd64. The same files give the same image.
//
//   oci-layout   index.json -> blobs/sha256/MANIFEST -> .../CONFIG, .../LAYER

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { MIB } from '../lib/bytes/units.ts'
import { packageVersion } from '../lib/server/system/package.ts'
import { imageSettings } from './image/settings.ts'

const HERE = new URL('.', import.meta.url).pathname
const LAYER_BYTES_MAX = 1024 * MIB
/** Of all files, and of the image: the time would make each image another one. */
const EPOCH_S = Number(process.env.SOURCE_DATE_EPOCH ?? 0)
const TYPE = 'application/vnd.oci.image'

interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

const { values } = parseArgs({
  options: {
    deb: { type: 'string', default: `build/memslab_${packageVersion()}-1_amd64.deb` },
    to: { type: 'string', default: 'build/image' },
    level: { type: 'string', default: '6' },
  },
})
const layout = resolve(values.to)
const root = mkdtempSync(join(tmpdir(), 'memslab-image-'))
try {
  execFileSync('sh', [join(HERE, 'image/root.sh'), resolve(values.deb), root], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  rmSync(layout, { recursive: true, force: true })
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true })
  writeLayout(tarOf(root))
  console.log(layout)
} finally {
  rmSync(root, { recursive: true })
}

/** The files, in one order and with one time. */
function tarOf(folder: string): Buffer {
  const same = ['--sort=name', '--numeric-owner', `--mtime=@${EPOCH_S}`, '--format=gnu']
  return execFileSync('tar', [...same, '-C', folder, '-cf', '-', '.'], {
    maxBuffer: LAYER_BYTES_MAX,
  })
}

function writeLayout(tar: Buffer): void {
  const layer = put(`${TYPE}.layer.v1.tar+gzip`, gzipSync(tar, { level: Number(values.level) }))
  const created = new Date(EPOCH_S * 1000).toISOString()
  const dockerfile = readFileSync(join(HERE, 'image/Dockerfile'), 'utf8')
  const config = put(`${TYPE}.config.v1+json`, {
    created,
    architecture: 'amd64',
    os: 'linux',
    config: imageSettings(dockerfile, packageVersion()),
    rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    history: [{ created, created_by: 'scripts/build-image.ts' }],
  })
  const manifest = put(`${TYPE}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${TYPE}.manifest.v1+json`,
    config,
    layers: [layer],
  })
  const annotations = { 'org.opencontainers.image.ref.name': packageVersion() }
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] }
  writeFileSync(join(layout, 'index.json'), `${JSON.stringify(index)}\n`)
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}\n')
}

function put(mediaType: string, content: Buffer | object): Descriptor {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
  const digest = digestOf(bytes)
  writeFileSync(join(layout, 'blobs/sha256', digest.replace('sha256:', '')), bytes)
  return { mediaType, digest, size: bytes.length }
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
