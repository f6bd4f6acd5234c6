// examples/page: a worker trains while the page stays responsive, and ends when the page says so.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import * as vite from 'vite'
import { launch, missing, root } from './chromium.ts'

const types: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript' }

describe('the example of a page with a worker', { skip: missing }, () => {
  let folder: string
  let browser: Browser
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cocagrad-page-'))
    await vite.build({
      configFile: false,
      logLevel: 'silent',
      root: join(root, 'examples/page'),
      resolve: { conditions: ['source', 'browser'] },
      worker: { format: 'es' },
      build: { outDir: folder, emptyOutDir: true, target: 'es2022' },
    })
    browser = await launch()
  })
  after(async () => {
    await browser?.close()
    await rm(folder, { recursive: true, force: true })
  })

  async function open(): Promise<Page> {
    const page = await browser.newPage()
    await page.route('http://localhost/**', async route => {
      const path = new URL(route.request().url()).pathname
      const file = path === '/' ? '/index.html' : path
      const body = await readFile(join(folder, file)).catch(() => undefined)
      return body
        ? route.fulfill({ contentType: types[file.split('.').pop() ?? ''], body })
        : route.fulfill({ status: 404 })
    })
    await page.goto('http://localhost/')
    return page
  }
  const status = (page: Page, text: RegExp) => page.getByRole('status').filter({ hasText: text })

  test('reports its steps, and its weights at the end', async () => {
    const page = await open()
    await status(page, /^2000 steps; the weights take \d+ bytes\.$/).waitFor()
    await page.close()
  })

  test('stops when it is asked to', async () => {
    const page = await open()
    await status(page, /^Step \d+: loss 0\.\d+$/).waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    const last = status(page, / steps; the weights take/)
    await last.waitFor()
    assert.ok(Number.parseInt((await last.textContent()) ?? '', 10) < 2000)
    await page.close()
  })
})
