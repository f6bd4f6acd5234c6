// Memory in a page: the garbage of a loop without a scope is freed, and overlapping asynchronous scopes throw.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { bundle, launch, missing, pageWith } from './chromium.ts'

const program = `
  import { device, ones, scope } from './src/index.ts'
  globalThis.loop = async turns => {
    await device.use('cpu')
    const x = ones([1024, 1024])
    let most = 0
    for (let i = 0; i < turns; i++) {
      await x.mul(2).mean().item()
      most = Math.max(most, device.get().memory().bytes)
    }
    return most / 2 ** 20
  }
  globalThis.overlap = async () => {
    const pause = () => new Promise(resolve => setTimeout(resolve))
    const first = scope(pause, 'the first')
    try {
      scope(pause, 'the second')
      return 'nothing was thrown'
    } catch (error) {
      return error.name + ': ' + error.message
    } finally {
      await first
    }
  }
  globalThis.ready = true
`

describe('memory in a page', { skip: missing }, () => {
  let browser: Browser
  let page: Page

  before(async () => {
    browser = await launch()
    page = await pageWith(browser, (await bundle(program)).code)
  })
  after(() => browser?.close())

  test('a loop without a scope that reads a value in every iteration does not leak memory', async t => {
    const most = (await page.evaluate('loop(400)')) as number
    t.diagnostic(`${Math.round(most)} MiB at once, of 1,600 in all`)
    assert.ok(most < 800, `${most} MiB at once`)
  })

  test('concurrent asynchronous scopes throw', async () =>
    assert.match(
      (await page.evaluate('overlap()')) as string,
      /^ScopeOverlapError: .* the first and the second, and a browser cannot distinguish their tensors/,
    ))
})
