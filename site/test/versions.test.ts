// A new version of the site on the host, while a tab still runs the one before: the tab has its files until it is closed, and then only those
// of the new version are kept.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { launch } from '../../test/browser/chromium.ts'
import { dist, open, serve, skip } from './site.ts'

interface Version {
  readonly version: string
  readonly files: readonly string[]
}

const reversed = (word: string) => [...word].reverse().join('')

/** The addresses of all that is kept. */
const kept = (page: Page) =>
  page.evaluate(async () => (await (await caches.open('cocagrad-site')).keys()).map(({ url }) => url))

/** Waits until something is so of what is kept. */
async function untilKept(page: Page, isSo: (urls: readonly string[]) => boolean, what: string): Promise<void> {
  for (let tenths = 0; !isSo(await kept(page)); tenths++) {
    assert.ok(tenths < 600, what)
    await page.waitForTimeout(100)
  }
}

/** Waits until nothing more is kept. */
async function untilStill(page: Page): Promise<void> {
  for (let last = -1, now = (await kept(page)).length; now !== last; now = (await kept(page)).length) {
    last = now
    await page.waitForTimeout(5000)
  }
}

async function runs(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Run', exact: true }).first().click()
  await page.locator('.repl[data-state=finished]').first().waitFor({ timeout: 60_000 })
}

describe('a new version of the site', { skip }, () => {
  test('leaves a tab of the old one its files, and takes them when it is closed', async () => {
    const old = JSON.parse(await readFile(join(dist, 'files.json'), 'utf8')) as Version
    // in the new version every script has another name, as if all had changed
    const hashes = new Set(old.files.flatMap(name => /[.-]([\w-]{8})\.(?:lean\.)?js$/.exec(name)?.[1] ?? []))
    const turned = (text: string) =>
      text.replaceAll(/(?<=[."-])[\w-]{8}(?=\.(?:lean\.)?js|\\?")/g, word =>
        hashes.has(word) || hashes.has(reversed(word)) ? reversed(word) : word,
      )
    const [editor] = old.files.filter(name => /\/Repl\.[\w-]{8}\.js$/.test(name))
    let isNew = false
    const read = async (file: string) => {
      if (!isNew) return readFile(file)
      const bytes = await readFile(turned(file))
      return /\.(?:html|js|json)$/.test(file)
        ? Buffer.from(turned(bytes.toString()).replaceAll(old.version, 'newest00'))
        : bytes
    }
    const { url, server } = await serve({ read })
    const browser = await launch()
    const { page: first, errors, close } = await open(browser, `${url}learn/`)
    const has = (name: string) => (urls: readonly string[]) => urls.includes(url + name)
    await untilStill(first)
    assert.ok(has(editor)(await kept(first)))

    isNew = true
    const second = await first.context().newPage()
    await second.goto(`${url}learn/tensor.html`)
    await untilKept(second, has(turned(editor)), 'the editor of the new version is kept too')
    assert.ok(has(editor)(await kept(second)), 'the first tab may need its own')
    await runs(first)
    await first.close()

    await second.reload()
    await untilKept(second, urls => !has(editor)(urls), 'the files of the old version are deleted')
    const newest = new Set(old.files.map(name => url + turned(name)))
    await untilKept(
      second,
      urls => urls.every(each => !each.includes('/assets/') || newest.has(each)),
      'only new files',
    )
    await untilKept(second, has('learn/'), 'a page that was opened is still kept')
    assert.ok(has(turned(editor))(await kept(second)))

    // the page that was opened in the old version opens in the new one without a network
    await untilStill(second)
    server.closeAllConnections()
    server.close()
    await second.context().setOffline(true)
    await second.goto(`${url}learn/`)
    await runs(second)
    assert.deepEqual(errors, [])
    await close()
    await browser.close()
  })
})
