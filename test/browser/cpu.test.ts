// The cpu device in a browser: with threads if the page is cross-origin isolated, otherwise without. Every kernel and every
// operation with a record is compared with the reference, and training gives the same bits on the same number of threads.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import type { CheckResult } from '../tensor/gpu/suite.ts'
import { bundle, launch, missing, pageWith } from './chromium.ts'

const program = `
  import { device, lossAndGradients, CoCa, presets, randint, randn, scope, seed } from './src/index.ts'
  import { agreements } from './test/autograd/agreement.ts'
  import { checks, runAll } from './test/tensor/gpu/suite.ts'
  globalThis.open = async threads => {
    await device.use('cpu', { threads })
    const { description, threads: count } = device.get()
    return { description, count, isolated: crossOriginIsolated }
  }
  globalThis.check = async runs => {
    const cpu = device.get('cpu')
    const results = await runAll([...checks, ...agreements], cpu, runs)
    return { results, memory: cpu.memory() }
  }
  // the sum of all gradients, as text: every bit of it
  globalThis.gradients = () => {
    seed(3)
    return scope(() => {
      const model = new CoCa(presets.tiny)
      const images = randn([8, 3, 32, 32])
      const ids = randint(1, presets.tiny.text.vocabulary, [8, presets.tiny.text.context])
      const { loss, gradients } = lossAndGradients(model, () => model.loss(images, ids))
      const sums = [...gradients.values()].map(g => g.sum().dataSync()[0])
      return [loss.total.dataSync()[0], ...sums].join()
    })
  }
  globalThis.ready = true
`

interface Opened {
  description: string
  count: number
  isolated: boolean
}

describe('the cpu device in a browser', { skip: missing }, () => {
  let browser: Browser
  let code: string
  const open = async (isolated: boolean): Promise<[Page, Opened]> => {
    const page = await pageWith(browser, code, { isolated })
    return [page, (await page.evaluate('open(3)')) as Opened]
  }

  before(async () => {
    browser = await launch()
    code = (await bundle(program)).code
  })
  after(() => browser?.close())

  for (const isolated of [true, false])
    test(isolated ? 'has threads in an isolated page' : 'has one thread otherwise, and reports why', async t => {
      const [page, opened] = await open(isolated)
      t.diagnostic(opened.description)
      assert.equal(opened.isolated, isolated)
      assert.equal(opened.count, isolated ? 3 : 1)
      const says = isolated ? '3 threads' : '1 thread \\(threads need a page that is cross-origin isolated\\)'
      assert.match(
        opened.description,
        new RegExp(
          `^WebAssembly with (relaxed )?SIMD \\(machine code is for Node on Linux and x86-64\\), ${says}, up to \\d+ GiB, matrix products of its own \\(a BLAS needs Node\\)`,
        ),
      )
      const { results, memory } = (await page.evaluate('check(5)')) as {
        results: CheckResult[]
        memory: { bytes: number; buffers: number }
      }
      for (const { name, error } of results) assert.equal(error, null, name)
      assert.deepEqual(memory, { bytes: 0, buffers: 0 })
      const once = await page.evaluate('gradients()')
      assert.equal(await page.evaluate('gradients()'), once)
    })
})
