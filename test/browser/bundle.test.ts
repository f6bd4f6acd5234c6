// The library as a page gets it: one file without anything of Node, that computes.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { test } from 'node:test'
import { bundle, launch, missing, pageWith, root } from './chromium.ts'

const entry = existsSync(`${root}/src/index.ts`) ? './src/index.ts' : './src/tensor/index.ts'

test('a bundle for browsers holds nothing of Node and not the webgpu package', async () => {
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

test('a page computes with it, minified', { skip: missing }, async () => {
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
