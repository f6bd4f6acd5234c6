// Pages whose content security policy forbids WebAssembly, or threads.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { bundle, launch, missing, pageWith } from './chromium.ts'

const program = `
  import { device, scope, tensor } from './src/index.ts'
  import { resizeImage } from './src/data/browser.ts'
  const message = async f => {
    try { return await f() } catch (error) { return error.name + ': ' + error.message }
  }
  globalThis.compute = name => message(async () => {
    await device.use(name, name === 'cpu' ? { threads: 2 } : {})
    return [device.description, await scope(() => tensor([1, 2]).add(1).array())]
  })
  globalThis.resize = () => message(() => resizeImage({ width: 4, height: 4, data: new Uint8Array(48) }, { size: 2 }).width)
  globalThis.ready = true
`

describe('a content security policy', { skip: missing }, () => {
  let browser: Browser
  let code: string
  before(async () => {
    browser = await launch()
    code = (await bundle(program)).code
  })
  after(() => browser?.close())

  const open = (policy: string) =>
    pageWith(browser, code, { isolated: true, headers: { 'content-security-policy': `default-src 'self'; ${policy}` } })

  test('that forbids WebAssembly gives an error that says what to allow, and reference and gpu work', async () => {
    const page = await open("script-src 'self'")
    assert.match(
      String(await page.evaluate("compute('cpu')")),
      /^DeviceError: cpu: the content security policy of this page does not allow WebAssembly; add 'wasm-unsafe-eval' to its script-src, or compute on gpu or reference/,
    )
    assert.match(String(await page.evaluate('resize()')), /resizing a picture: .* add 'wasm-unsafe-eval'/)
    for (const name of ['reference', 'gpu'])
      assert.deepEqual(((await page.evaluate(`compute('${name}')`)) as unknown[])[1], [2, 3])
  })

  test('that forbids threads leaves one, and the description says what to allow', async () => {
    const page = await open("script-src 'self' 'wasm-unsafe-eval'")
    const [description, values] = (await page.evaluate("compute('cpu')")) as [string, number[]]
    assert.match(description, /, 1 thread \(the content security policy .* add blob: to its worker-src\), /)
    assert.deepEqual(values, [2, 3])
    assert.equal(await page.evaluate('resize()'), 2)
  })

  test('that allows both has threads', async () => {
    const page = await open("script-src 'self' 'wasm-unsafe-eval'; worker-src blob:")
    assert.match(((await page.evaluate("compute('cpu')")) as string[])[0], /, 2 threads, /)
  })
})
