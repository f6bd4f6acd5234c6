// The playground as a person uses it, in the built site on a host that sets no headers.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { isLong, scriptBytes, skip, tasksOf, visit } from './site.ts'

describe('the playground', { skip }, () => {
  // as on a host that sets no headers
  const site = visit({ plain: true })

  /** Opens the page in a context of its own until the trained model is there. */
  async function opened(size?: { width: number; height: number }) {
    const opening = await site.open('', size)
    await opening.page.getByText('A trained contrastive captioner').waitFor()
    await opening.page.getByRole('heading', { name: 'Word by word' }).waitFor()
    return opening
  }

  const stepOf = async (page: Page) =>
    Number(/Step (\d+)/.exec((await page.getByRole('status').textContent()) ?? '')?.[1])
  const until = (page: Page, step: number, timeout = 120_000) =>
    page.waitForFunction(
      least => Number(/Step (\d+)/.exec(document.querySelector('[role=status]')?.textContent ?? '')?.[1]) >= least,
      step,
      { timeout },
    )

  test('loads at most 100 KB of script before something runs', async () => {
    const bytes = await scriptBytes('index.html')
    assert.ok(bytes > 0 && bytes <= 100 * 1024, `${bytes}`)
  })

  test('begins with a model that learns, on a first visit', async () => {
    const { page, errors, close } = await site.open('', { motion: true })
    const start = performance.now()
    await until(page, 20)
    await page
      .getByRole('list', { name: /never trained on/ })
      .getByRole('listitem')
      .first()
      .waitFor()
    await page.getByText('It is never trained on the twelve pictures below').waitFor()
    assert.ok(performance.now() - start < 30_000)
    // it has a checkpoint at step 100, so that a later visit shows the trained model and offers the run
    await until(page, 101)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.reload()
    await page.getByText('A trained contrastive captioner').waitFor({ timeout: 60_000 })
    await page.getByRole('button', { name: 'Open it' }).waitFor()
    assert.deepEqual(errors, [])
    await close()
  })

  test('captions, finds and names pictures before anything is trained', async () => {
    const { page, errors, close } = await opened()
    const pictures = page.getByRole('list', { name: /never trained on/ }).getByRole('listitem')
    assert.equal(await pictures.count(), 12)
    assert.ok((await pictures.filter({ hasText: 'right' }).count()) >= 9, 'most captions are right')

    await page.getByLabel('Find a picture').fill('a large cyan star')
    await page.getByRole('button', { name: 'Find', exact: true }).click()
    const best = pictures.filter({ hasText: /match 1\b/ })
    await best.waitFor()
    assert.equal(await best.getByRole('button', { name: 'a large cyan star' }).count(), 1)

    await page.getByLabel('Find a picture').fill('a small cyan elephant')
    await page.getByRole('button', { name: 'Find', exact: true }).click()
    assert.match((await page.getByRole('alert').textContent()) ?? '', /elephant/)

    await pictures.getByRole('button', { name: 'a large cyan star' }).click()
    const words = page.getByRole('region', { name: /word by word/ }).getByRole('listitem')
    await words.filter({ hasText: 'star' }).first().waitFor()
    assert.match((await words.allTextContents()).join(' '), /a.*large.*cyan.*star.*end/)
    assert.deepEqual(errors, [])
    await close()
  })

  test('trains with threads on a host that sets no headers, and the page stays responsive', async () => {
    const { page, errors, close } = await opened()
    assert.ok(await page.evaluate(() => globalThis.crossOriginIsolated))
    await site.browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] })
    await page.getByRole('button', { name: 'Train one from scratch' }).click()
    await until(page, 300)
    const chart = page.getByRole('img', { name: /Losses by step/ })
    const captioning = Number(/captioning loss ([\d.]+)/.exec((await chart.getAttribute('aria-label')) ?? '')?.[1])
    assert.ok(captioning < 1, `${captioning}: the loss of a random model is above 3`)
    const matrix = await page.getByRole('img', { name: /^Similarity of/ }).getAttribute('aria-label')
    const [, size, right] = (/of (\d+) pictures .*: (\d+) rows are largest/.exec(matrix ?? '') ?? []).map(Number)
    assert.ok(right > 3, `${matrix}: one of ${size} is expected by chance`)
    const tasks = tasksOf(await site.browser.stopTracing())
    assert.ok(tasks.length > 100)
    assert.ok(Math.max(...tasks) <= 50, `a task of the main thread took ${Math.max(...tasks)} ms`)

    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('button', { name: 'Go on' }).waitFor()
    await page.waitForTimeout(1500)
    const paused = await stepOf(page)
    await page.waitForTimeout(500)
    assert.equal(await stepOf(page), paused)
    await page.getByRole('button', { name: 'One step' }).click()
    await until(page, paused + 1)
    await page.waitForTimeout(500)
    assert.equal(await stepOf(page), paused + 1)
    await page.getByText('Settings', { exact: true }).click()
    assert.match((await page.getByText('Computed on').textContent()) ?? '', /[2-9] threads/)
    assert.deepEqual(errors, [])
    await close()
  })

  test('opens and trains without a network after the first visit', async () => {
    const { page, close } = await opened()
    await page.context().setOffline(true)
    await page.reload()
    await page.getByText('A trained contrastive captioner').waitFor()
    await page.getByRole('button', { name: 'Train one from scratch' }).click()
    await until(page, 1)
    await close()
  })

  test('captions what is drawn, and a picture from a file', async () => {
    const { page, errors, close } = await opened()
    const own = page.getByRole('region', { name: 'Your picture' })
    const canvas = own.getByRole('img')
    await own.getByRole('radio', { name: 'blue' }).check({ force: true })
    const box = await canvas.boundingBox()
    assert.ok(box)
    // a filled square
    await page.mouse.move(box.x + 50, box.y + 50)
    await page.mouse.down()
    for (let y = 50; y <= 110; y += 8) {
      await page.mouse.move(box.x + (y % 16 < 8 ? 50 : 110), box.y + y)
      await page.mouse.move(box.x + (y % 16 < 8 ? 110 : 50), box.y + y)
    }
    await page.mouse.up()
    await own.getByText(/^a (small|large) blue/).waitFor()

    const image = await page
      .getByRole('list', { name: /never trained on/ })
      .getByRole('button')
      .nth(3)
      .screenshot()
    await own.getByLabel('Open a picture').setInputFiles({ name: 'square.png', mimeType: 'image/png', buffer: image })
    await own.getByText(/^a large orange square$/).waitFor()
    await own
      .getByLabel('Open a picture')
      .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') })
    assert.match((await own.getByRole('alert').textContent()) ?? '', /a\.txt is not a picture/)
    assert.deepEqual(errors, [])
    await close()
  })

  test('trains other poolers, [CLS] in another place, and more layers that see the image', async () => {
    const { page, errors, close } = await opened()
    await page.getByText('Settings', { exact: true }).click()
    await page.getByRole('combobox', { name: /^poolers/ }).selectOption('parallel')
    await page.getByRole('combobox', { name: /^place of \[CLS\]/ }).selectOption('next')
    await page.getByLabel('[CLS] tokens').fill('2')
    await page.getByLabel('layers that see the image too').fill('2')
    await page.getByRole('button', { name: 'Start again with these' }).click()
    await until(page, 5)
    // one more [CLS], and its position, of width 48 each; the poolers have as many as before; a layer has 37,776
    await page.getByText('198,123 parameters').waitFor()
    assert.deepEqual(errors, [])
    await close()
  })

  test('trains on the gpu device', {
    skip: isLong ? false : 'long: a software adapter compiles for minutes',
  }, async () => {
    const { page, errors, close } = await opened()
    await page.getByText('Settings', { exact: true }).click()
    await page.getByRole('combobox', { name: /^device/ }).selectOption('gpu')
    await page.getByRole('button', { name: 'Start again with these' }).click()
    await until(page, 2, 900_000)
    assert.match((await page.getByText('Computed on').textContent()) ?? '', /WebGPU|webgpu/)
    assert.deepEqual(errors, [])
    await close()
  })

  test('refuses settings that make no model by name', async () => {
    const { page, close } = await opened()
    await page.getByText('Settings', { exact: true }).click()
    await page.getByLabel('temperature at the start').fill('0.0625')
    await page.getByLabel('λ of the contrastive loss').fill('0')
    await page.getByLabel('λ of the captioning loss').fill('0')
    await page.getByRole('button', { name: 'Start again with these' }).click()
    await page.getByText(/^Failed: .*weight/).waitFor()
    await close()
  })
})
