// What the page of a checkpoint says, with a small CoCa and CLIP of OpenCLIP's architecture, and a SigLIP with the smallest image tower
// that there is, is what Node computes from the same files.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { noGrad } from '../../src/autograd/index.ts'
import { decodeImage, normalize, type Tokenizer } from '../../src/data/index.ts'
import { openClip, type Preprocessing } from '../../src/openclip/index.ts'
import { fromData } from '../../src/tensor/index.ts'
import { addPictures, checkpointPage, drop, readWeights } from './checkpoint-page.ts'
import { CONTEXT, clipWords, FILES, pictures, writeClip, writeSigLip } from './checkpoints.ts'
import { skip } from './site.ts'

async function imageOf(bytes: Buffer, { size, resize, mean, std }: Preprocessing) {
  const pixels = resize === 'squash' ? 'squash' : 'upright'
  const decoded = await decodeImage(bytes, { size, pixels })
  return fromData(normalize(decoded.pixels, mean, std), [1, 3, size as number, size as number])
}

/** The cosines of a picture and of sentences, by the same files in Node, and the model. */
async function cosinesInNode(folder: string, tokenizer: Tokenizer, texts: readonly string[]) {
  const { model, preprocessing } = await openClip(folder, { family: 'dual-encoder' })
  const ids = fromData(tokenizer.tokenize(texts, CONTEXT), [texts.length, CONTEXT])
  const image = await imageOf(pictures[0], preprocessing)
  const cosines = noGrad(() =>
    model.encodeImage(image).matmul(model.encodeText(ids).transpose(0, 1)).reshape([texts.length]),
  )
  return { model, cosines }
}

/** What the page says of a picture beside some labels, in their order. */
async function namesOf(page: Page, labels: readonly string[]) {
  await page.getByLabel('labels').fill(labels.join('\n'))
  await page.getByLabel('sentence').fill('a {}')
  await page.getByRole('button', { name: 'Compare' }).click()
  const list = page.getByRole('list', { name: 'Labels, most probable first' }).getByRole('listitem')
  await list.first().waitFor()
  return Promise.all(
    labels.map(async label => {
      const line = (await list.filter({ hasText: label }).textContent()) ?? ''
      const [, percent, cosine] = /([\d.]+) %\s*cosine (-?[\d.]+)/.exec(line) ?? []
      return { percent: Number(percent), cosine: Number(cosine) }
    }),
  )
}

const shownTokens = async (page: Page) => {
  const items = page.getByRole('list', { name: 'Tokens of the caption' }).getByRole('button')
  return Promise.all(
    (await items.all()).map(async item => ({
      text: await item.locator('.text').textContent(),
      percent: Number.parseFloat(((await item.locator('.share').textContent()) ?? '').replace('< ', '')),
    })),
  )
}

describe('what the page of a checkpoint says', { skip }, () => {
  const checkpoint = checkpointPage()

  /** The CoCa in Node, and its pictures. */
  async function inNode() {
    const { model, preprocessing } = await openClip(checkpoint.folder)
    const images = await Promise.all(pictures.map(bytes => imageOf(bytes, preprocessing)))
    return { model, tokenizer: clipWords, images }
  }

  test('a caption has the tokens and probabilities that Node computes, greedy and by beams', async () => {
    const { page, errors, close } = await checkpoint.opened()
    await checkpoint.give(page)
    await page.getByText('0.1 million').waitFor()
    await addPictures(page)
    await readWeights(page)
    const { model, tokenizer, images } = await inNode()
    for (const beams of [1, 3]) {
      if (beams > 1) await page.getByLabel('decoding').selectOption(`${beams}`)
      await page.getByLabel('at most').fill('8')
      await page.getByRole('button', { name: 'Write a caption' }).click()
      await page.getByText(/log p = .* tokens, in/).waitFor()
      const options = { start: tokenizer.start, end: tokenizer.end, maximumLength: 9, beams }
      const [{ ids, logProbability }] = await model.generate(images[0], options)
      const text = tokenizer.decode(ids)
      assert.equal((await page.locator('[aria-labelledby=caption-title] .text').first().textContent())?.trim(), text)
      const before = fromData(Int32Array.from(ids.slice(0, -1)), [1, ids.length - 1])
      const logs = noGrad(() => model.logits(images[0], before).logSoftmax()).dataSync()
      const width = logs.length / (ids.length - 1)
      const shown = await shownTokens(page)
      assert.equal(shown.length, ids.length - 1)
      for (const [i, { percent }] of shown.entries()) {
        const expected = 100 * Math.exp(logs[i * width + ids[i + 1]])
        assert.ok(Math.abs(percent - expected) < 0.1, `token ${i}: ${percent} % and ${expected} %`)
      }
      assert.ok(
        shown.some(({ percent }) => percent > 20 && percent < 99),
        'probabilities that can be told apart',
      )
      const told = Number(
        /log p = (-?[\d.]+)/.exec((await page.getByText(/log p = .* tokens/).textContent()) ?? '')?.[1],
      )
      assert.ok(Math.abs(told - logProbability) < 0.02)
      await page.getByText(/log p = .* tokens, in/).waitFor()
    }
    assert.equal(await page.getByText('The other beams:').count(), 1)
    assert.deepEqual(errors, [])
    await close()
  })

  test('the next best tokens appear on focus, and go with Escape', async () => {
    const { page, close } = await checkpoint.opened()
    await checkpoint.give(page)
    await addPictures(page)
    await readWeights(page)
    await page.getByRole('button', { name: 'Write a caption' }).click()
    await page.getByText(/log p = .* tokens, in/).waitFor()
    const first = page.getByRole('list', { name: 'Tokens of the caption' }).getByRole('button').first()
    await first.focus()
    const tip = page.getByRole('tooltip').first()
    assert.ok(await tip.isVisible())
    assert.equal(await tip.locator('.row').count(), 5)
    await page.keyboard.press('Escape')
    await tip.waitFor({ state: 'hidden' })
    await close()
  })

  test('names and the search have the cosines that Node computes', async () => {
    const { page, errors, close } = await checkpoint.opened()
    await addPictures(page)
    await checkpoint.give(page)
    await readWeights(page)
    const { model, tokenizer, images } = await inNode()
    const cosines = (texts: readonly string[], i: number) => {
      const ids = fromData(tokenizer.tokenize(texts, CONTEXT), [texts.length, CONTEXT])
      return [...noGrad(() => model.encodeImage(images[i]).matmul(model.encodeText(ids).transpose(0, 1))).dataSync()]
    }
    await page.getByLabel('labels').fill('cat\n dog \n\nph')
    await page.getByLabel('sentence').fill('a {}!')
    await page.getByRole('button', { name: 'Compare' }).click()
    const list = page.getByRole('list', { name: 'Labels, most probable first' }).getByRole('listitem')
    await list.first().waitFor()
    const labels = ['cat', 'dog', 'ph']
    const expected = cosines(
      labels.map(label => `a ${label}!`),
      0,
    )
    const scale = Math.exp(model.logScale.dataSync()[0])
    const total = expected.reduce((sum, x) => sum + Math.exp(scale * x), 0)
    assert.equal(await list.count(), 3)
    for (const [i, label] of labels.entries()) {
      const line = (await list.filter({ hasText: label }).textContent()) ?? ''
      const [, percent, cosine] = /([\d.]+) %\s*cosine (-?[\d.]+)/.exec(line) ?? []
      assert.ok(Math.abs(Number(cosine) - expected[i]) < 0.001, `${line}: ${expected[i]}`)
      assert.ok(Math.abs(Number(percent) - (100 * Math.exp(scale * expected[i])) / total) < 0.2, line)
    }

    await page.getByLabel('text', { exact: true }).fill('a cat')
    await page.getByRole('button', { name: 'Find', exact: true }).click()
    await page.getByText(/is nearest to picture/).waitFor()
    const all = pictures.map((_, i) => cosines(['a cat'], i)[0])
    const best = all.indexOf(Math.max(...all))
    await page.getByText(`is nearest to picture ${best}.png`).waitFor()
    assert.match((await page.getByText('match 1:').textContent()) ?? '', new RegExp(all[best].toFixed(3).slice(0, -1)))
    assert.deepEqual(errors, [])
    await close()
  })

  test('a CLIP compares names as Node does, and offers no caption', async () => {
    const clip = join(checkpoint.folder, 'clip')
    await writeClip(clip)
    const { page, errors, close } = await checkpoint.opened()
    await drop(page, page.locator('.drop').first(), [clip])
    await page.getByText('CLIP', { exact: true }).waitFor()
    await addPictures(page)
    await readWeights(page)
    await page.getByText('writes no captions').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Write a caption' }).count(), 0)
    const labels = ['cat', 'dog', 'ph']
    const shown = await namesOf(page, labels)
    const sentences = labels.map(label => `a ${label}`)
    const { model, cosines } = await cosinesInNode(clip, clipWords, sentences)
    const shares = noGrad(() => cosines.mul(model.logScale.exp()).softmax()).dataSync()
    for (const [i, { percent, cosine }] of shown.entries()) {
      assert.ok(Math.abs(cosine - cosines.dataSync()[i]) < 0.001, `${labels[i]}: ${cosine}`)
      assert.ok(Math.abs(percent - 100 * shares[i]) < 0.2, `${labels[i]}: ${percent} %`)
    }
    assert.deepEqual(errors, [])
    await close()
  })

  test('a SigLIP gives each name a probability of its own, as Node does', async () => {
    const siglip = join(checkpoint.folder, 'siglip')
    const tokenizer = await writeSigLip(siglip)
    const { page, errors, close } = await checkpoint.opened()
    await checkpoint.give(
      page,
      FILES.map(name => join('siglip', name)),
    )
    await page.getByRole('alert').getByText('put the tokenizer_config.json of the model beside it').waitFor()
    await checkpoint.give(page, [join('siglip', 'tokenizer_config.json')])
    await page.getByText('SigLIP', { exact: true }).waitFor()
    await addPictures(page)
    await readWeights(page)
    await page.getByText('writes no captions').waitFor()
    const labels = ['cat', 'photo', 'dog']
    const shown = await namesOf(page, labels)
    const sentences = labels.map(label => `a ${label}`)
    const { model, cosines } = await cosinesInNode(siglip, tokenizer, sentences)
    const each = noGrad(() => cosines.mul(model.logScale.exp()).add(model.logitBias!).sigmoid()).dataSync()
    for (const [i, { percent, cosine }] of shown.entries()) {
      assert.ok(Math.abs(cosine - cosines.dataSync()[i]) < 0.001, `${labels[i]}: ${cosine}`)
      assert.ok(Math.abs(percent - 100 * each[i]) < 0.1, `${labels[i]}: ${percent} % and ${100 * each[i]} %`)
    }
    assert.ok(
      shown.every(({ percent }) => percent < 10),
      'no share of 100 %',
    )
    assert.deepEqual(errors, [])
    await close()
  })
})
