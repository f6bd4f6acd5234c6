// Safetensors from bytes in memory, Blobs and URLs, of which only the parts that are needed are requested.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { openSafetensors, readSafetensors } from '../../src/io/formats/open-safetensors.ts'
import { encodeSafetensors, type SafetensorsTensor } from '../../src/io/formats/safetensors.ts'
import { openSafetensors as openInNode, readSafetensors as readInNode } from '../../src/io/index.ts'
import { type RangeServer, type RangeServerOptions, serveBytes } from './range-server.ts'

const floats = (count: number, from = 0): SafetensorsTensor => ({
  dtype: 'F32',
  shape: [count],
  data: Float32Array.from({ length: count }, (_, i) => from + i),
})

// a header and a tensor are in the first request; the others are not
const tensors = new Map<string, SafetensorsTensor>([
  ['small', floats(10)],
  ['large', floats(30_000, 1)],
  ['larger', floats(60_000, 2)],
  ['ids', { dtype: 'I32', shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) }],
])
const metadata = { from: 'a test' }
const bytes = new Uint8Array(Buffer.concat(encodeSafetensors(tensors, metadata)))

async function served<T>(options: RangeServerOptions, task: (server: RangeServer) => Promise<T>): Promise<T> {
  const server = await serveBytes(bytes, options)
  try {
    return await task(server)
  } finally {
    await server.close()
  }
}

const sources = {
  'a Uint8Array that begins within its buffer': () => new Uint8Array([0, ...bytes]).subarray(1),
  'an ArrayBuffer': () => bytes.slice().buffer,
  'a Blob': () => new Blob([bytes]),
}

for (const [what, source] of Object.entries(sources))
  test(`${what} is read whole, and tensor by tensor`, async () => {
    assert.deepEqual(await readSafetensors(source()), { tensors, metadata: new Map([['from', 'a test']]) })
    const file = await openSafetensors(source())
    assert.deepEqual(file.names, [...tensors.keys()])
    assert.deepEqual(file.entry('ids').shape, [2, 2])
    assert.deepEqual(await file.tensor('larger'), tensors.get('larger'))
    const some = await file.tensors(['ids', 'small'])
    assert.deepEqual(
      [...some],
      [
        ['ids', tensors.get('ids')],
        ['small', tensors.get('small')],
      ],
    )
    await assert.rejects(file.tensor('none'), { name: 'SafetensorsError', reason: "has no tensor 'none'" })
  })

test('of a URL only the header and the tensors that are wanted are requested', () =>
  served({}, async ({ url, requests }) => {
    const file = await openSafetensors(url)
    assert.deepEqual(await file.tensor('small'), tensors.get('small'))
    assert.deepEqual(requests, ['GET bytes=0-65535'])
    const { begin, end } = file.entry('larger')
    assert.deepEqual(await file.tensor('larger'), tensors.get('larger'))
    assert.deepEqual(requests.slice(1), [`GET bytes=${file.dataStart + begin}-${file.dataStart + end - 1}`])
  }))

test('neighbours in a file are requested together', () =>
  served({}, async ({ url, requests }) => {
    const file = await openSafetensors(url)
    assert.deepEqual(await file.all(), tensors)
    assert.equal(requests.length, 2)
    await file.tensors(['small', 'larger'])
    assert.deepEqual(requests.slice(2).length, 1, 'small is in the first request')
  }))

test('the progress goes up to the bytes of the tensors', () =>
  served({}, async ({ url }) => {
    const size = 4 * (10 + 30_000 + 60_000 + 4)
    for (const source of [url, new Blob([bytes])]) {
      const seen: [number, number][] = []
      await readSafetensors(source, { onProgress: (done, count) => seen.push([done, count]) })
      assert.ok(seen.every(([done, count], i) => count === size && (i === 0 || done > seen[i - 1][0])))
      assert.deepEqual(seen.at(-1), [size, size])
    }
  }))

test('an error of the progress ends the reading', () =>
  served({}, async ({ url }) => {
    const stop = () => {
      throw new Error('enough')
    }
    await assert.rejects(readSafetensors(url, { onProgress: stop }), /^Error: enough/)
  }))

test('a server without parts sends the whole file once, with progress', () =>
  served({ parts: false }, async ({ url, requests }) => {
    const seen: [number, number][] = []
    const content = await readSafetensors(url, { onProgress: (done, count) => seen.push([done, count]) })
    assert.deepEqual(content.tensors, tensors)
    assert.deepEqual(requests, ['GET bytes=0-65535'])
    assert.deepEqual(seen.at(-1), [bytes.length, bytes.length])
    assert.ok(seen.every(([done], i) => i === 0 || done > seen[i - 1][0]))
  }))

test('headers go with every request', () =>
  served({ authorization: 'Bearer me' }, async ({ url }) => {
    const file = await openSafetensors(url, { headers: { authorization: 'Bearer me' } })
    assert.deepEqual(await file.tensor('larger'), tensors.get('larger'))
    await assert.rejects(openSafetensors(url), { name: 'FileError', reason: /the server answers 401/ })
  }))

test('a file that changes after it was opened is not mixed with its former self', () =>
  served({ etag: request => `"${Math.min(request, 1)}"` }, async ({ url }) => {
    const file = await openSafetensors(url)
    await assert.rejects(file.tensor('larger'), { name: 'FileError', reason: /has changed since it was opened/ })
  }))

test('an answer that ends early is an error', () =>
  served({ cut: 3 }, async ({ url }) => {
    const file = await openSafetensors(url)
    await assert.rejects(file.tensor('larger'), { name: 'FileError', reason: 'ends 3 bytes early' })
  }))

test('what is at a URL instead of a file is said', async () => {
  await served({}, async ({ url }) => {
    await assert.rejects(openSafetensors(new URL('/nothing', url)), {
      name: 'FileError',
      message: `${new URL('/nothing', url)}: cannot be fetched: the server answers 404 Not Found`,
    })
  })
  await served({ contentType: 'text/html; charset=utf-8' }, async ({ url }) => {
    await assert.rejects(openSafetensors(url), { name: 'FileError', reason: /is a web page/ })
  })
  await assert.rejects(openSafetensors(new URL('http://127.0.0.1:1/')), {
    name: 'FileError',
    reason: /cannot be fetched/,
  })
  const empty = await serveBytes(new Uint8Array())
  await assert.rejects(openSafetensors(empty.url), { name: 'SafetensorsError', reason: /too short: 0 bytes/ })
  await empty.close()
})

test('a path is not a source where there are no files', async () => {
  await assert.rejects(openSafetensors('model.safetensors' as never), {
    name: 'ArgumentError',
    message: /openSafetensors.*a URL such as new URL\('model\.safetensors', location\.href\)/s,
  })
})

test('in Node a path, a URL of a file, a URL of a server and bytes give the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cocagrad-sources-'))
  const path = join(folder, 'model.safetensors')
  await writeFile(path, bytes)
  try {
    await served({}, async ({ url }) => {
      for (const source of [path, pathToFileURL(path), url, bytes, new Blob([bytes])]) {
        assert.deepEqual((await readInNode(source)).tensors, tensors)
        const file = await openInNode(source as Blob)
        assert.deepEqual(await file.tensor('ids'), tensors.get('ids'))
      }
    })
    let last = 0
    await readInNode(path, { onProgress: done => (last = done) })
    assert.equal(last, 4 * (10 + 30_000 + 60_000 + 4))
  } finally {
    await rm(folder, { recursive: true })
  }
})
