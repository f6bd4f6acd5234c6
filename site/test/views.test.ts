// The views into the model of the playground, in the built site; and what they are computed with.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { matcherOf } from '../playground/paths.ts'
import { Plane } from '../playground/plane.ts'
import { skip, tasksOf, visit } from './site.ts'

test('a star stands for one part of a path, two for any number', () => {
  const fits = (pattern: string, path: string) => matcherOf(pattern)(path)
  assert.ok(fits('encoder.blocks.*.attention', 'encoder.blocks.1.attention'))
  assert.ok(!fits('encoder.blocks.*.attention', 'encoder.blocks.1.attention.query'))
  assert.ok(!fits('encoder.*', 'encoder.blocks.0'))
  assert.ok(fits('**.query', 'encoder.blocks.0.attention.query'))
  assert.ok(fits(' multimodal.output ', 'multimodal.output'))
  assert.ok(!fits('multimodal.output', 'multimodalxoutput'))
  assert.ok(fits('', ''))
})

/** Numbers between -1 and 1 that are the same every time. */
function numbers(count: number, from: number): Float32Array {
  let state = from
  return Float32Array.from({ length: count }, () => {
    state = (state * 16807) % 2147483647
    return (2 * state) / 2147483647 - 1
  })
}

const WIDTH = 6
/** Points that vary most along the first two of some axes. */
function cloud(count: number, spread: readonly number[]): Float32Array {
  const points = numbers(count * WIDTH, 7)
  return points.map((x, i) => x * spread[i % WIDTH])
}

test('the plane has the two axes of the largest variance', () => {
  const points = cloud(2000, [3, 0.1, 2, 0.1, 0.1, 0.1])
  const found = new Plane().of(points, WIDTH)
  assert.ok(found.share > 0.99)
  const mean = (axis: number) => points.reduce((sum, x, i) => (i % WIDTH === axis ? sum + x / 2000 : sum), 0)
  for (let p = 0; p < 2000; p++) {
    assert.ok(Math.abs(Math.abs(found.points[2 * p]) - Math.abs(points[WIDTH * p] - mean(0))) < 0.1)
    assert.ok(Math.abs(Math.abs(found.points[2 * p + 1]) - Math.abs(points[WIDTH * p + 2] - mean(2))) < 0.1)
  }
})

test('a map moves no farther than its points, where the order and the signs of the principal axes change', () => {
  const plane = new Plane()
  const [before, after] = [cloud(300, [2, 1.9, 0.1, 0.1, 0.1, 0.1]), cloud(300, [1.9, 2, 0.1, 0.1, 0.1, 0.1])]
  const [first, second] = [plane.of(before, WIDTH), plane.of(after, WIDTH)]
  const far = first.points.reduce((most, x, i) => Math.max(most, Math.abs(x - second.points[i])), 0)
  assert.ok(far < 0.2, `${far}`)
  // without the last plane the axes are those of another order
  const alone = new Plane().of(after, WIDTH)
  const jump = first.points.reduce((most, x, i) => Math.max(most, Math.abs(x - alone.points[i])), 0)
  assert.ok(jump > 0.5, `${jump}`)
})

describe('the views of the playground', { skip }, () => {
  const site = visit()

  async function opened() {
    const opening = await site.open()
    await opening.page.getByRole('heading', { name: 'Word by word' }).waitFor()
    return opening
  }
  const unfold = (page: Page, name: RegExp) => page.locator('summary').filter({ hasText: name }).click()
  const ask = async (page: Page, path: string, value: string) => {
    await page.getByLabel('module').fill(path)
    await page.getByRole('combobox', { name: /^value/ }).selectOption(value)
    await page.getByRole('button', { name: 'Show' }).click()
  }

  test('words have probabilities, and the next best on focus', async () => {
    const { page, errors, close } = await opened()
    const word = page
      .getByRole('region', { name: /word by word/ })
      .getByRole('listitem')
      .first()
      .getByRole('button')
    assert.match((await word.textContent()) ?? '', /a\s*[<\s\d.]+ %/)
    await word.focus()
    const tip = page.getByRole('tooltip').first()
    assert.ok(await tip.isVisible())
    const shares = (await tip.locator('.number').allTextContents()).map(text =>
      Number.parseFloat(text.replace('< ', '')),
    )
    assert.equal(shares.length, 5)
    assert.deepEqual(
      shares,
      [...shares].sort((a, b) => b - a),
    )
    await page.keyboard.press('Escape')
    await tip.waitFor({ state: 'hidden' })
    assert.deepEqual(errors, [])
    await close()
  })

  test('attention is shown of every query, head, word and layer, chosen by keyboard', async () => {
    const { page, errors, close } = await opened()
    await unfold(page, /^Attention/)
    const maps = page.getByRole('application', { name: /Attention of the/ })
    await maps.waitFor()
    assert.match((await maps.getAttribute('aria-label')) ?? '', /generative pooler\. .*query 1, head 1/)
    await maps.focus()
    for (let i = 0; i < 10; i++) await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowRight')
    assert.match((await maps.getAttribute('aria-label')) ?? '', /query 8, head 2/)
    await page.getByLabel('contrastive pooler').check()
    await page.getByText('query 1, head 1: at most').or(page.getByText('query 1, head 1')).first().waitFor()
    await page.getByLabel('decoder', { exact: true }).check()
    await maps.focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    assert.match(
      (await maps.getAttribute('aria-label')) ?? '',
      /decoder.*(red|orange|yellow|green|cyan|blue|purple|pink), head 1/,
    )
    const weights =
      (await page.getByRole('img', { name: /weights of 8 image tokens/ }).getAttribute('aria-label')) ?? ''
    const sum = [...weights.matchAll(/\d\.\d+/g)].reduce((all, [x]) => all + Number(x), 0)
    assert.ok(Math.abs(sum - 1) < 0.05, weights)
    assert.deepEqual(errors, [])
    await close()
  })

  test('any value is found by a pattern, with gradients, and what fits nothing is said', async () => {
    const { page, errors, close } = await opened()
    await unfold(page, /^Any value/)
    const pictures = page.locator('.values figure')
    await pictures.first().waitFor()
    assert.deepEqual(await pictures.locator('code').allTextContents(), [
      'encoder.blocks.0.attention',
      'encoder.blocks.1.attention',
    ])
    assert.match((await pictures.first().textContent()) ?? '', /\[12, 16, 48\].*min -?[\d.e-]+, mean .*max .*zeros/s)
    await ask(page, 'multimodal.output', 'outputGradient')
    await pictures.filter({ hasText: '[12, 12,' }).waitFor()
    assert.match((await pictures.textContent()) ?? '', /multimodal\.output/)
    await ask(page, 'encoder.blocks.*.attention', 'parameterGradient')
    await pictures.filter({ hasText: 'encoder.blocks.0.attention.query.weight' }).waitFor()
    assert.equal(await pictures.count(), 8)
    await page.getByText('16 parameters, of which 8 values are shown').waitFor()
    await ask(page, 'generativePooler.queries', 'parameter')
    await pictures.filter({ hasText: '[8, 48]' }).waitFor()
    await ask(page, 'nothing.here', 'parameter')
    await page.getByText('No parameter has a path that fits').waitFor()
    assert.ok((await page.locator('#module-paths option').count()) > 20)
    assert.deepEqual(errors, [])
    await close()
  })

  test('with all views open it trains, the views follow, and no task of the page is longer than 50 ms', async () => {
    const { page, errors, close } = await opened()
    for (const name of [/^Attention/, /^Pictures and captions/, /^Any value/]) await unfold(page, name)
    const map = page.getByRole('application', { name: /Map of 128 pictures/ })
    await map.waitFor()
    const own = Number(/cosine is (-?[\d.]+) with its own/.exec((await map.getAttribute('aria-label')) ?? '')?.[1])
    assert.ok(own > 0.6, `${own}: the trained model knows which belong together`)
    await map.focus()
    await page.keyboard.press('ArrowRight')
    await page
      .getByText(/^a (small|large) /)
      .first()
      .waitFor()
    await site.browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] })
    await page.getByRole('button', { name: 'Train one from scratch' }).click()
    const stepsOf = (text: string) => Number(/step (\d+)/i.exec(text)?.[1] ?? -1)
    const seen = new Set<number>()
    for (let i = 0; i < 200 && seen.size < 4; i++) {
      const caption = page.getByText(/of \d+ patches\. Step \d+/)
      if ((await caption.count()) > 0) seen.add(stepsOf((await caption.first().textContent()) ?? ''))
      await page.waitForTimeout(150)
    }
    const tasks = tasksOf(await site.browser.stopTracing())
    assert.ok(seen.size >= 4, `views of ${seen.size} different steps`)
    assert.ok(tasks.length > 100)
    assert.ok(Math.max(...tasks) <= 50, `a task of the main thread took ${Math.max(...tasks)} ms`)
    await page.locator('.values figure').first().waitFor()
    assert.deepEqual(errors, [])
    await close()
  })
})
