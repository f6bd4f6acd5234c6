// The reference in the built site: every public name has its place, every link leads to one, and the search finds names.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import ts from 'typescript'
import { exportsOf, files, resolved } from '../../scripts/public-names.ts'
import { missing } from '../../test/browser/chromium.ts'
import { dist, notBuilt, visit } from './site.ts'

const NAMESPACE = ts.SymbolFlags.Module

/** The built pages of the reference, by their paths below it. */
const pages = async () => {
  const files = readdirSync(join(dist, 'reference'), { recursive: true, encoding: 'utf8' }).filter(file =>
    file.endsWith('.html'),
  )
  return new Map(
    await Promise.all(files.map(async file => [file, await readFile(join(dist, 'reference', file), 'utf8')] as const)),
  )
}
const idsOf = (html: string) => new Set(Array.from(html.matchAll(/ id="([^"]+)"/g), ([, id]) => id))

describe('the reference', { skip: notBuilt }, () => {
  test('has a place for every public name', async () => {
    const names = JSON.parse(await readFile(join(import.meta.dirname, '../reference/names.json'), 'utf8')) as Record<
      string,
      string
    >
    const listed = files.flatMap(exportsOf).flatMap(symbol => (resolved(symbol).flags & NAMESPACE ? [] : [symbol.name]))
    assert.ok(listed.length > 1000, `${listed.length} names`)
    assert.deepEqual(
      [...new Set(listed)].filter(name => !(name in names)),
      [],
    )
    const ids = new Map([...(await pages())].map(([file, html]) => [file, idsOf(html)]))
    const lost = Object.entries(names).filter(([, address]) => {
      const [page, id] = address.replace('/reference/', '').split('#')
      return !ids.get(`${page}.html`)?.has(id)
    })
    assert.deepEqual(lost, [])
    assert.ok(ids.get('tensor/tensor.html')?.has('Tensor-conv2d'), 'methods have places too')
  })

  test('has no link to a place that is not there', async () => {
    const all = await pages()
    const ids = new Map([...all].map(([file, html]) => [file, idsOf(html)]))
    const dead: string[] = []
    for (const [file, html] of all)
      for (const [, page, id] of html.matchAll(/href="(?!\/)((?:\.\.\/)*[\w/-]+\.html)(?:#([^"]+))?"/g)) {
        const target = posix.join(posix.dirname(file), page)
        if (!ids.has(target) || (id && !ids.get(target)!.has(id))) dead.push(`${file}: ${page}#${id}`)
      }
    assert.deepEqual(dead, [])
  })

  test('adds little to the index of the search, which loads when somebody searches', async () => {
    const chunks = readdirSync(join(dist, 'assets/chunks')).filter(file => file.includes('localSearchIndex'))
    assert.equal(chunks.length, 1)
    const bytes = await readFile(join(dist, 'assets/chunks', chunks[0]))
    assert.ok(gzipSync(bytes).length <= 260_000, `${gzipSync(bytes).length} bytes`)
  })

  describe('in a browser', { skip: missing }, () => {
    const site = visit()

    test('finds sections by what they are about, and names that begin with a common word', async () => {
      const { page, errors, close } = await site.open('reference/index.html')
      await page.getByRole('button', { name: 'Search' }).click()
      const found = page.getByRole('option')
      for (const [text, name] of [
        ['training on several processes', 'Several processes'],
        ['what is the gradient of a function', 'Functions of functions'],
        ['from', 'fromData'],
        ['this is', 'isNaN'],
      ]) {
        await page.getByRole('searchbox').fill(text)
        await found.filter({ hasText: name }).first().waitFor()
      }
      assert.deepEqual(errors, [])
      await close()
    })

    for (const width of [390, 820, 1280])
      test(`finds a name by search, and shows it ${width} pixels wide`, async () => {
        const { page, errors, close } = await site.open('reference/index.html', { width })
        // the page loads once more when its service worker is there
        await page.waitForFunction('crossOriginIsolated')
        await page.getByRole('button', { name: 'Search' }).click()
        await page.getByRole('searchbox').fill('contrastiveLoss')
        const found = page.getByRole('option').filter({ hasText: 'contrastiveLoss' }).first()
        await found.click()
        await page.waitForURL(/reference\/nn\/losses(\.html)?#contrastiveLoss$/)
        await page.getByRole('heading', { name: /^contrastiveLoss/ }).waitFor()
        const signature = page.locator('#contrastiveLoss + pre')
        assert.match((await signature.textContent()) ?? '', /^contrastiveLoss\(image: Tensor, text: Tensor/)
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        )
        assert.ok(overflow <= 0, `${overflow} pixels too wide`)
        await signature.getByRole('link', { name: 'Tensor' }).first().click()
        await page.waitForURL(/reference\/tensor\/tensor(\.html)?#Tensor$/)
        assert.deepEqual(errors, [])
        await close()
      })
  })
})
