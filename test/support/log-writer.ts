/** A thread that writes to a log buffer without pause; each line shows whether it is complete. */
import { parentPort, workerData } from 'node:worker_threads'
import { RingWriter, SIZE } from '../../lib/observe/log-buffer.ts'

const writer = new RingWriter(workerData, 0)
parentPort?.postMessage('ready')
for (let line = 0; ; line++) {
  const text = String(line % 10).repeat(line % 251)
  writer.begin(1, 0, text.length)
  writer.words[writer.at + SIZE] = line
  writer.area.bytes.write(text, writer.textAt, 'latin1')
  writer.end()
}
