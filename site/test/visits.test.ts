// The first visit, which loads the page again for threads, and later ones without a network.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { launch } from '../../test/browser/chromium.ts'
import { isLong, open, serve, skip } from './site.ts'

/** What each page shows by itself, and what it does then, with files that it has not loaded before. */
const pages: readonly { readonly path: string; shows(page: Page): Promise<void>; does?(page: Page): Promise<void> }[] =
  [
    {
      path: '',
      shows: page => page.getByRole('heading', { name: 'Word by word' }).waitFor(),
      async does(page) {
        await page.getByRole('button', { name: 'Train one from scratch' }).click()
        await page.getByText(/^Step [1-9]/).waitFor()
      },
    },
    {
      path: 'tape.html',
      shows: page => page.getByRole('status', { name: 'Gradient check' }).getByText('pass').waitFor(),
    },
    {
      path: 'attention.html',
      shows: page => page.getByRole('status', { name: 'What leaks' }).getByText('Nothing leaks').waitFor(),
    },
    {
      path: 'kernels.html',
      shows: page => page.getByRole('tabpanel').getByText('@compute @workgroup_size').waitFor(),
      async does(page) {
        await page.getByRole('tab', { name: 'WebAssembly' }).click()
        await page.getByRole('tabpanel').getByText('(func $softmax').waitFor()
      },
    },
    {
      path: 'repl.html',
      shows: page => page.getByRole('textbox', { name: 'Program' }).waitFor(),
      does: runs,
    },
    {
      path: 'learn/tensor.html',
      shows: page => page.getByRole('button', { name: 'Run', exact: true }).first().waitFor(),
      does: runs,
    },
    { path: 'reference/', shows: page => page.getByRole('heading', { level: 1, name: /^Reference/ }).waitFor() },
  ]

async function runs(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Run', exact: true }).first().click()
  await page.locator('.repl[data-state=finished]').waitFor()
}

/** Pages of each kind. `COCAGRAD_TESTS=long npm run site:test` visits all. */
const some = ['', 'kernels.html', 'repl.html']

/** The number of files that are kept. */
const kept = (page: Page) => page.evaluate(async () => (await (await caches.open('cocagrad-site')).keys()).length)

describe('visits', { skip }, () => {
  let browser: Browser
  before(async () => {
    browser = await launch()
  })
  after(() => browser.close())

  test('pages open and work without a network after one visit', async () => {
    const { url, server } = await serve()
    const { page, close } = await open(browser, url)
    page.setDefaultTimeout(120_000)
    const visited = isLong ? pages : pages.filter(({ path }) => some.includes(path))
    for (const { path, shows } of visited) {
      await page.goto(url + path)
      await shows(page)
    }
    // the service worker keeps what the pages load later
    for (let last = -1, now = await kept(page); now !== last; now = await kept(page)) {
      last = now
      await page.waitForTimeout(5000)
    }
    server.closeAllConnections()
    server.close()
    await page.context().setOffline(true)
    for (const { path, shows, does } of visited) {
      await page.goto(url + path)
      await shows(page)
      assert.ok(await page.evaluate(() => globalThis.crossOriginIsolated), path)
      await does?.(page)
    }
    // by a link, which needs another file of the page than its address does
    await page.getByRole('link', { name: 'Editor', exact: true }).first().click()
    await page.getByRole('textbox', { name: 'Program' }).waitFor()
    assert.ok(page.url().includes('/repl'))
    await close()
  })

  test('a click before the page is loaded again for threads is not lost', async () => {
    let send = () => {}
    const sent = new Promise<void>(resolve => {
      send = resolve
    })
    const { url, server } = await serve({ wait: path => (path === 'service-worker.js' ? sent : undefined) })
    const context = await browser.newContext()
    const page = await context.newPage()
    page.setDefaultTimeout(60_000)
    await page.goto(url)
    await page.getByText(/^Step [1-9]/).waitFor()
    await page.getByRole('button', { name: 'Pause', exact: true }).click()
    await page.getByRole('button', { name: 'Go on', exact: true }).waitFor()
    send()
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
    await page.waitForTimeout(1500)
    const { type, isolated } = await page.evaluate(() => {
      const [{ type }] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[]
      return { type, isolated: globalThis.crossOriginIsolated }
    })
    assert.deepEqual({ type, isolated }, { type: 'navigate', isolated: false })
    assert.ok(await page.getByRole('button', { name: 'Go on', exact: true }).isEnabled())

    // and the next page has threads
    await page.goto(`${url}tape.html`)
    assert.ok(await page.evaluate(() => globalThis.crossOriginIsolated))
    await context.close()
    server.close()
  })

  test('a page that was not touched is loaded again once, and takes no clicks until it is there', async () => {
    let count = 0
    const { url, server } = await serve({
      wait(path) {
        if (path === '') count++
        return undefined
      },
    })
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.addInitScript(() =>
      addEventListener('pagehide', () => sessionStorage.setItem('inert', `${document.documentElement.inert}`)),
    )
    await page.goto(url)
    await page.waitForFunction(() => globalThis.crossOriginIsolated)
    await page.getByText(/^Step [1-9]/).waitFor()
    const states = await page.evaluate(() => [sessionStorage.getItem('inert'), document.documentElement.inert])
    assert.deepEqual(states, ['true', false])
    assert.equal(count, 2)
    await context.close()
    server.close()
  })
})
