// The library bundled for a page: one file without Node modules.

import assert from 'node:assert/strict'
import { builtinModules } from 'node:module'
import { test } from 'node:test'
import { bundle, launch, missing, pageWith } from './chromium.ts'

const entry = './src/index.ts'

test('a bundle for browsers contains no Node modules and not the webgpu package', async () => {
  const { metafile } = await bundle(`export * from '${entry}'`)
  const imports = Object.values(metafile.inputs).flatMap(input => input.imports.map(({ path }) => path))
  const ofNode = imports.filter(path => path.startsWith('node:') || builtinModules.includes(path))
  assert.deepEqual(ofNode, [])
  const packages = Object.keys(metafile.inputs).filter(path => path.includes('node_modules/'))
  assert.ok(
    packages.some(path => path.includes('gpu.js/dist')),
    'GPU.js is there, to be loaded when asked for',
  )
  assert.deepEqual(
    packages.filter(path => /node_modules\/(webgpu|koffi|sharp)\//.test(path)),
    [],
  )
})

test('a page computes with the minified bundle', { skip: missing }, async () => {
  const browser = await launch()
  try {
    const { code } = await bundle(
      `
      import { device, deviceOf, scope, tensor } from '${entry}'
      globalThis.compute = async () => {
        const results = []
        for (const name of ['reference', 'cpu', 'gpu']) {
          await device.use(name)
          results.push(await scope(async () => {
            const x = tensor([[1, 2], [3, 4]])
            return (await deviceOf(x).kernels.matmul(x, x).array())
          }))
        }
        return { results, description: device.description }
      }
      globalThis.ready = true
    `,
      { minify: true },
    )
    const page = await pageWith(browser, code)
    const { results, description } = (await page.evaluate('compute()')) as {
      results: number[][][]
      description: string
    }
    assert.match(description, /^webgpu on /)
    for (const result of results)
      assert.deepEqual(result, [
        [7, 10],
        [15, 22],
      ])
  } finally {
    await browser.close()
  }
})

test('a page trains a CoCa and generates captions, on cpu', { skip: missing }, async () => {
  const browser = await launch()
  try {
    const { code } = await bundle(`
      import { AdamW, CoCa, device, lossAndGradients, randn, scope, seed, tensor } from '${entry}'
      globalThis.compute = async () => {
        await device.use('cpu')
        seed(0)
        const model = new CoCa({
          image: { size: 8, patch: 4, width: 16, layers: 1, heads: 2 },
          text: { vocabulary: 8, context: 5, width: 16, heads: 2, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
          pooler: { queries: 2, heads: 2 },
          embedding: 16,
        })
        const optimizer = new AdamW(model, { learningRate: 1e-2 })
        const images = randn([3, 3, 8, 8])
        const ids = tensor([[1, 3, 4, 2, 0], [1, 5, 2, 0, 0], [1, 6, 7, 3, 2]], { dtype: 'int32' })
        const losses = []
        for (let step = 0; step < 60; step++) {
          losses.push(await scope(async () => {
            const { loss, gradients } = lossAndGradients(model, () => model.loss(images, ids))
            optimizer.step(gradients)
            model.constrain()
            return loss.total.item()
          }))
        }
        const written = await model.generate(images, { start: 1, end: 2 })
        return { losses, captions: written.map(caption => caption.ids) }
      }
      globalThis.ready = true
    `)
    const page = await pageWith(browser, code)
    const { losses, captions } = (await page.evaluate('compute()')) as { losses: number[]; captions: number[][] }
    assert.ok(losses[losses.length - 1] < losses[0] / 10, `the loss went from ${losses[0]} to ${losses.at(-1)}`)
    assert.deepEqual(captions, [
      [1, 3, 4, 2],
      [1, 5, 2],
      [1, 6, 7, 3, 2],
    ])
  } finally {
    await browser.close()
  }
})
