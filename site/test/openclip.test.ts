// The page of a checkpoint as a person uses it, with a small CoCa of OpenCLIP's architecture and random weights that the test makes. What the
// page says is compared with what Node computes from the same files.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { encode } from 'fast-png'
import type { Browser, Page } from 'playwright-core'
import { noGrad } from '../../src/autograd/index.ts'
import { ClipTokenizer, decodeImage, normalize } from '../../src/data/index.ts'
import { CoCa } from '../../src/models/index.ts'
import { fromOpenClipConfig, openClip, saveOpenClip } from '../../src/openclip/index.ts'
import { device, fromData, seed } from '../../src/tensor/index.ts'
import { launch, missing } from '../../test/browser/chromium.ts'
import { isBuilt, open, serve } from './site.ts'

const skip = missing || (isBuilt ? false : 'the site is not built: npm run site')
const SIDE = 32
const CONTEXT = 12

/** A picture of a gradient, as the bytes of a PNG. */
function png(hue: number): Buffer {
  const [width, height] = [50, 40]
  const data = new Uint8Array(width * height * 3)
  for (let p = 0; p < width * height; p++)
    data.set([(hue * (p % width)) % 256, (5 * Math.floor(p / width) + hue) % 256, 255 - hue], 3 * p)
  return Buffer.from(encode({ width, height, data, channels: 3 }))
}
const pictures = [png(3), png(90), png(200)]

/** Writes a folder as OpenCLIP releases it. */
async function writeCheckpoint(folder: string): Promise<void> {
  const tokenizer = ClipTokenizer.fromMerges('#version: 0.2\na t</w>\nc at</w>\nd o\ndo g</w>\np h\n')
  const tower = { context_length: CONTEXT, vocab_size: tokenizer.vocabularySize, width: 32, heads: 4, layers: 2 }
  const vision = { image_size: SIDE, patch_size: 8, width: 32, head_width: 8, layers: 2 }
  seed(5)
  const model = new CoCa(
    fromOpenClipConfig({
      embed_dim: 32,
      vision_cfg: {
        ...vision,
        attentional_pool: true,
        attn_pooler_queries: 5,
        attn_pooler_heads: 4,
        output_tokens: true,
      },
      text_cfg: { ...tower, embed_cls: true, output_tokens: true },
      multimodal_cfg: tower,
      custom_text: true,
    }),
  )
  // so that some tokens are far more probable than others
  const { weight } = model.multimodal.output
  weight.assign(noGrad(() => weight.mul(12)))
  await saveOpenClip(folder, { model, tokenizer })
}

const FILES = ['open_clip_model.safetensors', 'open_clip_config.json', 'tokenizer.json']

/**
 * Another server with the weights and the configuration of a folder, which sends parts.
 * @param stalls whether it sends the header of the weights and then nothing
 */
async function serveWeights(folder: string, { stalls = false } = {}) {
  /** lengths of the parts */
  const sent: number[] = []
  const server = createServer(async (request, response) => {
    const headers = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'content-range' }
    const name = (request.url ?? '').slice(1)
    if (!FILES.slice(0, 2).includes(name)) return response.writeHead(404, headers).end()
    const bytes = await readFile(join(folder, name))
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '')?.map(Number) ?? []
    if (last === undefined) return response.writeHead(200, headers).end(bytes)
    if (stalls && first > 0) return
    const part = bytes.subarray(first, last + 1)
    sent.push(part.length)
    const range = `bytes ${first}-${first + part.length - 1}/${bytes.length}`
    return response.writeHead(206, { ...headers, 'content-range': range }).end(part)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const end = () => {
    server.closeAllConnections()
    server.close()
  }
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, sent, end }
}

describe('the page of a checkpoint', { skip }, () => {
  let browser: Browser
  let server: Server
  let url: string
  let folder: string
  before(async () => {
    await device.use('cpu')
    folder = await mkdtemp(join(tmpdir(), 'openclip-'))
    await writeCheckpoint(folder)
    browser = await launch(['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'])
    ;({ url, server } = await serve())
  })
  after(async () => {
    await browser.close()
    server.close()
    await rm(folder, { recursive: true })
  })

  const opened = () => open(browser, `${url}openclip-model.html`)
  const give = (page: Page, names = FILES) =>
    page.getByLabel('Choose files').setInputFiles(names.map(name => join(folder, name)))
  async function read(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Read the weights' }).click()
    await page.getByText('The weights were read in').waitFor()
  }
  const addPictures = (page: Page) =>
    page
      .getByLabel('Choose pictures')
      .setInputFiles(pictures.map((buffer, i) => ({ name: `picture ${i}.png`, mimeType: 'image/png', buffer })))

  /** The model in Node, and its pictures. */
  async function inNode() {
    const { model, preprocessing, tokenizerFiles } = await openClip(folder)
    const tokenizer = ClipTokenizer.fromJSON(JSON.parse(await readFile(tokenizerFiles[0], 'utf8')))
    const images = await Promise.all(
      pictures.map(async bytes => {
        const { pixels } = await decodeImage(bytes, { size: SIDE })
        return fromData(normalize(pixels, preprocessing.mean, preprocessing.std), [1, 3, SIDE, SIDE])
      }),
    )
    return { model, tokenizer, images }
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

  test('a caption has the tokens and probabilities that Node computes, greedy and by beams', async () => {
    const { page, errors, close } = await opened()
    await give(page)
    await page.getByText('0.1 million').waitFor()
    await addPictures(page)
    await read(page)
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
    const { page, close } = await opened()
    await give(page)
    await addPictures(page)
    await read(page)
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
    const { page, errors, close } = await opened()
    await addPictures(page)
    await give(page)
    await read(page)
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

  test('weights come in parts from a URL of another server, and files that are missing are named', async t => {
    const { address, sent, end } = await serveWeights(folder)
    t.after(end)
    const { page, close } = await opened()
    await page.getByLabel('or the URL').fill(`${address}${FILES[0]}`)
    await page.getByRole('button', { name: 'Look', exact: true }).click()
    await page.getByText('Still missing: vocabulary').waitFor()
    await give(page, ['tokenizer.json'])
    await read(page)
    const { size } = await stat(join(folder, FILES[0]))
    assert.ok(sent.length >= 2)
    assert.ok(sent.reduce((sum, length) => sum + length, 0) <= size + 2 ** 16)
    await close()
  })

  test('reading can be cancelled and begun again', async t => {
    const { address, end } = await serveWeights(folder, { stalls: true })
    t.after(end)
    const { page, close } = await opened()
    await page.getByLabel('or the URL').fill(`${address}${FILES[0]}`)
    await page.getByRole('button', { name: 'Look', exact: true }).click()
    await give(page, ['tokenizer.json'])
    for (let i = 0; i < 2; i++) {
      await page.getByRole('button', { name: 'Read the weights' }).click()
      await page.getByText(/0\.\d MB of 0\.\d MB/).waitFor()
      await page.getByRole('button', { name: 'Cancel' }).click()
    }
    await page.getByRole('button', { name: 'Read the weights' }).waitFor()
    await page.getByRole('button', { name: 'Another checkpoint' }).click()
    await give(page)
    await read(page)
    await close()
  })

  test('a still of the camera is a picture, and what is none is named', async () => {
    const { page, errors, close } = await opened()
    await page.getByRole('button', { name: 'Use the camera' }).click()
    await page.waitForFunction(() => (document.querySelector('video')?.videoWidth ?? 0) > 0)
    await page.getByRole('button', { name: 'Take the picture' }).click()
    await page.getByRole('button', { name: 'Look at camera 1.png' }).waitFor()
    await page.getByRole('button', { name: 'Close the camera' }).click()
    await page
      .getByLabel('Choose pictures')
      .setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('a') })
    assert.match((await page.getByRole('alert').textContent()) ?? '', /a\.txt is not a picture/)
    await page.getByRole('button', { name: 'Remove camera 1.png' }).click()
    assert.equal(await page.getByRole('button', { name: 'Look at' }).count(), 0)
    assert.deepEqual(errors, [])
    await close()
  })

  test('a file that is no checkpoint of OpenCLIP is refused with its reason', async () => {
    const { page, close } = await opened()
    await page.getByLabel('Choose files').setInputFiles([
      { name: 'model.safetensors', mimeType: 'application/octet-stream', buffer: Buffer.from('nothing') },
      { name: 'config.json', mimeType: 'application/json', buffer: Buffer.from('{"embed_dim": 3}') },
      { name: 'tokenizer.json', mimeType: 'application/json', buffer: Buffer.from('{}') },
    ])
    assert.match((await page.getByRole('alert').textContent()) ?? '', /config\.json: vision_cfg/)
    await close()
  })
})
