// cocagrad/data in a browser: what a bundler makes of it, and that a page computes what Node computes, to the bit.

import assert from 'node:assert/strict'
import { builtinModules } from 'node:module'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { encodeSafetensors, type SafetensorsTensor } from '../../src/io/formats/safetensors.ts'
import { serveBytes } from '../io/range-server.ts'
import { bundle, launch, missing, pageWith } from './chromium.ts'
import { noise, resized, results } from './data-program.ts'

test('a bundle of cocagrad/data for browsers has no Node modules, no decoders of files and no Buffer', async () => {
  const { code, metafile } = await bundle(`export * from 'cocagrad/data'`)
  const imports = Object.values(metafile.inputs).flatMap(input => input.imports.map(({ path }) => path))
  assert.deepEqual(
    imports.filter(path => path.startsWith('node:') || builtinModules.includes(path)),
    [],
  )
  const packages = Object.keys(metafile.inputs).flatMap(
    path => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
  )
  const expected = ['entities', 'gpu.js', 'iota-array', 'is-buffer', 'ndarray', 'tinyqueue']
  assert.deepEqual([...new Set(packages)].sort(), expected)
  assert.ok(Object.keys(metafile.inputs).some(path => path.includes('src/entries/data-browser.ts')))
  assert.doesNotMatch(code, /\bBuffer\.(from|alloc|concat)/)
})

test('what needs files is missing in a browser when a program is bundled, not when it runs', async () => {
  for (const name of ['openData', 'readTokenizer', 'decodeImage', 'writeSafetensors', 'ShardDataset'])
    await assert.rejects(bundle(`import { ${name} } from 'cocagrad/data'\nconsole.log(${name})`), error => {
      assert.match((error as Error).message, new RegExp(`No matching export .* for import "${name}"`))
      return true
    })
})

test('Node has every name of a browser', async () => {
  const [inBrowser, inNode] = await Promise.all([
    import('../../src/entries/data-browser.ts'),
    import('../../src/entries/data.ts'),
  ])
  const different = ['openSafetensors', 'readSafetensors']
  for (const [name, value] of Object.entries(inBrowser)) {
    const here = (inNode as Readonly<Record<string, unknown>>)[name]
    if (different.includes(name)) assert.equal(typeof here, 'function')
    else assert.equal(here, value, name)
  }
})

describe('a page', { skip: missing }, () => {
  let browser: Browser
  before(async () => {
    browser = await launch()
  })
  after(() => browser?.close())

  const programs = './test/browser/data-program.ts'

  test('computes with cocagrad/data what Node computes', async () => {
    const { code } = await bundle(`
      import { results } from '${programs}'
      globalThis.results = results
      globalThis.ready = true`)
    const page = await pageWith(browser, code)
    const here = JSON.parse(JSON.stringify(await results()))
    const there = JSON.parse((await page.evaluate('results().then(JSON.stringify)')) as string)
    for (const part of Object.keys(here)) assert.deepEqual(there[part], here[part], part)
    assert.equal(here.batches.taken.length, 7)
  })

  test('scales an ImageData, an ImageBitmap, a canvas and an img as Node scales the same pixels', async () => {
    const { code } = await bundle(`
      import { noise, resized } from '${programs}'
      globalThis.compute = async () => {
        const { width, height, data } = noise(50, 37, 4)
        for (let i = 3; i < data.length; i += 4) data[i] = 255
        const image = new ImageData(new Uint8ClampedArray(data), width, height)
        const canvas = new OffscreenCanvas(width, height)
        canvas.getContext('2d').putImageData(image, 0, 0)
        const img = new Image(7, 9)
        img.src = URL.createObjectURL(await canvas.convertToBlob())
        await img.decode()
        const png = await createImageBitmap(await canvas.convertToBlob(), { premultiplyAlpha: 'none' })
        return [image, await createImageBitmap(image), png, canvas, img].map(resized)
      }
      globalThis.ready = true`)
    const page = await pageWith(browser, code)
    const opaque = noise(50, 37, 4)
    for (let i = 3; i < opaque.data.length; i += 4) opaque.data[i] = 255
    const expected = resized(opaque)
    assert.deepEqual(await page.evaluate('compute()'), Array(5).fill(expected))
  })

  test('reads parts of a checkpoint of another server, with progress', async () => {
    const data = Float32Array.from({ length: 100_000 }, (_, i) => Math.sin(i))
    const tensors = new Map<string, SafetensorsTensor>([
      ['large', { dtype: 'F32', shape: [100_000], data }],
      ['last', { dtype: 'F32', shape: [3], data: Float32Array.of(1, 2, 3) }],
    ])
    const bytes = new Uint8Array(Buffer.concat(encodeSafetensors(tensors)))
    const { code } = await bundle(`
      import { openSafetensors, readSafetensors } from '${programs}'
      globalThis.compute = async address => {
        const url = new URL(address)
        const file = await openSafetensors(url)
        const last = [...(await file.tensor('last')).data]
        const seen = []
        const { tensors } = await readSafetensors(url, { onProgress: (done, count) => seen.push([done, count]) })
        return { names: file.names, last, sum: tensors.get('large').data.reduce((a, b) => a + b), end: seen.at(-1) }
      }
      globalThis.ready = true`)
    for (const options of [{}, { exposed: false }, { parts: false }]) {
      const server = await serveBytes(bytes, options)
      try {
        const page = await pageWith(browser, code)
        // the page comes from no address, and the server is on this machine
        await page.context().grantPermissions(['local-network-access'])
        const found = await page.evaluate(`compute(${JSON.stringify(server.url.href)})`)
        const end = options.parts === false ? bytes.length : 4 * 100_003
        assert.deepEqual(found, {
          names: ['large', 'last'],
          last: [1, 2, 3],
          sum: data.reduce((a, b) => a + b),
          end: [end, end],
        })
        if (options.parts === undefined)
          assert.ok(server.requests.filter(request => request.startsWith('GET bytes=')).length >= 3)
        assert.equal(server.requests.includes('HEAD all'), options.exposed === false)
      } finally {
        await server.close()
      }
    }
  })
})
