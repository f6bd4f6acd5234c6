// The same comparisons with the reference as in Node, in a browser, the only environment with WebGL 2.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import type { CheckResult } from '../tensor/gpu/suite.ts'
import { bundle, launch, missing, pageWith } from './chromium.ts'

const program = `
  import { openEngine } from './src/tensor/gpu/backends.ts'
  import { openGpu } from './src/tensor/gpu/index.ts'
  import { device, fromData } from './src/tensor/index.ts'
  import { map } from './src/tensor/gpu/map.ts'
  import { Runtime } from './src/tensor/gpu/runtime.ts'
  import { agreements } from './test/autograd/agreement.ts'
  import { checks, runAll } from './test/tensor/gpu/suite.ts'
  const native = globalThis.GPU
  globalThis.check = async (backend, runs) => {
    await device.open('gpu', { backend })
    const gpu = device.get('gpu')
    const results = [...(await runAll(checks, gpu, runs)), ...(await runAll(agreements, gpu, 1))]
    const report = { results, description: gpu.description, memory: gpu.memory(), untouched: globalThis.GPU === native }
    return report
  }
  // every kernel is thrown out of a cache of three before it is used again; the term that is zero makes their texts differ
  globalThis.evict = async backend => {
    const runtime = new Runtime(await openEngine([backend]), 3)
    const values = []
    for (const n of [2, 300, 4, 5, 300, 2, 2, 5]) {
      const handle = runtime.upload(Float32Array.from({ length: n }, (_, i) => i))
      const result = map(runtime, 'double', [n], [{ handle, shape: [n], strides: [1], offset: 0 }, 2], 'x0*x1+' + n + '.0-' + n + '.0')
      values.push((await runtime.read(result, n - 1, 1))[0])
      runtime.free(handle)
      runtime.free(result)
    }
    const report = { values, kernels: runtime.kernels, memory: runtime.memory() }
    runtime.close()
    return report
  }
  // GPU.js's own destroy takes the shared vertex buffer with it, and other kernels would return what they last did
  globalThis.destroyLast = async backend => {
    const engine = await openEngine([backend])
    const program = { label: 'test', length: 2, arrays: 1, floats: 0, integers: 0, width: 1 }
    const [one, two] = [1, 2].map(n => engine.compile({ ...program, source: 'function(a0){ return a0[this.thread.x]+' + n + '.0; }' }))
    const [a, b] = [engine.upload(Float32Array.of(1, 2)), engine.upload(Float32Array.of(10, 20))]
    one.run([a], program)
    two.run([a], program)
    two.destroy()
    const values = await engine.read(one.run([b], program), 0, 2)
    engine.close()
    return [...values]
  }
  globalThis.lose = async () => {
    const gl = []
    const getContext = OffscreenCanvas.prototype.getContext
    OffscreenCanvas.prototype.getContext = function (...args) {
      gl.push(getContext.apply(this, args))
      return gl[gl.length - 1]
    }
    const gpu = await openGpu({ backend: 'webgl2' })
    OffscreenCanvas.prototype.getContext = getContext
    const x = fromData(Float32Array.of(1, 2), [2], gpu)
    gpu.kernels.unary('exp', x)
    gl[0].getExtension('WEBGL_lose_context').loseContext()
    const errors = []
    try { gpu.kernels.unary('exp', x) } catch (error) { errors.push(error.message) }
    await x.data().catch(error => errors.push(error.message))
    return { errors, hasFailed: gpu.hasFailed }
  }
  globalThis.ready = true
`

interface Report {
  results: CheckResult[]
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
    test(`every kernel, operation and model agrees with the reference on ${backend}`, async t => {
      const report = (await page.evaluate(`check('${backend}', 3)`)) as Report
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

    test(`a kernel evicted from the cache is compiled again, and the others are not affected, on ${backend}`, async () => {
      assert.deepEqual(await page.evaluate(`evict('${backend}')`), {
        values: [2, 598, 6, 8, 598, 2, 2, 8],
        kernels: 3,
        memory: { bytes: 0, buffers: 0 },
      })
    })

    test(`destroying a kernel does not affect the others on ${backend}`, async () => {
      assert.deepEqual(await page.evaluate(`destroyLast('${backend}')`), [11, 21])
    })
  }

  test('with a lost WebGL context computing and reading throw, where GPU.js would return zeros', async () => {
    const { errors, hasFailed } = (await page.evaluate('lose()')) as { errors: string[]; hasFailed: boolean }
    assert.equal(errors.length, 2)
    for (const message of errors) assert.match(message, /the WebGL context was lost/)
    assert.ok(hasFailed)
  })
})
