// The same comparisons with the reference as in Node, inside a browser: the only place where WebGL 2 is.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import type { runAll } from '../tensor/gpu/suite.ts'
import { bundle, launch, missing, pageWith } from './chromium.ts'

const program = `
  import { openGpu } from './src/tensor/gpu/index.ts'
  import { runAll } from './test/tensor/gpu/suite.ts'
  const native = globalThis.GPU
  globalThis.check = async (backend, runs) => {
    const gpu = await openGpu({ backend })
    const results = await runAll(gpu, runs)
    const report = { results, description: gpu.description, memory: gpu.memory(), untouched: globalThis.GPU === native }
    gpu.close()
    return report
  }
  globalThis.ready = true
`

interface Report {
  results: Awaited<ReturnType<typeof runAll>>
  description: string
  memory: { bytes: number; buffers: number }
  untouched: boolean
}

describe('in a browser', { skip: missing }, () => {
  let browser: Browser
  let page: Page

  before(async () => {
    browser = await launch()
    page = await pageWith(browser, (await bundle(program)).code)
  })
  after(() => browser?.close())

  for (const backend of ['webgpu', 'webgl2'] as const) {
    test(`every operation agrees with the reference on ${backend}`, async t => {
      const report = (await page.evaluate(`check('${backend}', 4)`)) as Report
      t.diagnostic(report.description)
      assert.match(report.description, new RegExp(`^${backend} on .*gpu\\.js 2\\.24\\.1$`))
      for (const { name, error, ms } of report.results)
        await t.test(`${backend}: ${name}`, t => {
          t.diagnostic(`${Math.round(ms)} ms`)
          assert.equal(error, null)
        })
      assert.deepEqual(report.memory, { bytes: 0, buffers: 0 })
      assert.ok(report.untouched, 'loading GPU.js left the global GPU interface replaced')
    })
  }
})
