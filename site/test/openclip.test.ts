// The page of a checkpoint as a person uses it, with a small CoCa and CLIP of OpenCLIP's architecture, and a SigLIP with the smallest image tower
// that there is. What the page says is compared with what Node computes from the same files.

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser, Locator, Page } from 'playwright-core'
import { noGrad } from '../../src/autograd/index.ts'
import { decodeImage, normalize } from '../../src/data/index.ts'
import { DualEncoder } from '../../src/models/index.ts'
import { withoutAllocation } from '../../src/nn/index.ts'
import { openClipArchitectures } from '../../src/openclip/architectures.ts'
import { fromClipConfig, openClip, type Preprocessing } from '../../src/openclip/index.ts'
import { device, fromData } from '../../src/tensor/index.ts'
import { launch, missing } from '../../test/browser/chromium.ts'
import {
  CONTEXT,
  clipWords,
  FILES,
  pictures,
  serveWeights,
  writeCheckpoint,
  writeClip,
  writeSigLip,
  writeUnnamed,
} from './checkpoints.ts'
import { isBuilt, open, serve } from './site.ts'

const skip = missing || (isBuilt ? false : 'the site is not built: npm run site')

/** Drags files or folders of this computer to a place, and drops them. */
async function drop(page: Page, place: Locator, files: readonly string[]): Promise<void> {
  const box = (await place.boundingBox())!
  const client = await page.context().newCDPSession(page)
  const data = { items: [], files: [...files], dragOperationsMask: 1 }
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await client.send('Input.dispatchDragEvent', { type, x: box.x + box.width / 2, y: box.y + 5, data })
  await client.detach()
}

describe('the page of a checkpoint', { skip }, () => {
  let browser: Browser
  let server: Server
  let url: string
  let folder: string
  let pictureFiles: string[]
  before(async () => {
    await device.use('cpu')
    folder = await mkdtemp(join(tmpdir(), 'openclip-'))
    await writeCheckpoint(folder)
    pictureFiles = pictures.map((_, i) => join(folder, 'pictures', `picture ${i}.png`))
    await mkdir(join(folder, 'pictures'))
    await Promise.all(pictures.map((bytes, i) => writeFile(pictureFiles[i], bytes)))
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

  /** The CoCa in Node, and its pictures. */
  async function inNode() {
    const { model, preprocessing } = await openClip(folder)
    const images = await Promise.all(pictures.map(bytes => imageOf(bytes, preprocessing)))
    return { model, tokenizer: clipWords, images }
  }

  async function imageOf(bytes: Buffer, { size, resize, mean, std }: Preprocessing) {
    const pixels = resize === 'squash' ? 'squash' : 'upright'
    const decoded = await decodeImage(bytes, { size, pixels })
    return fromData(normalize(decoded.pixels, mean, std), [1, 3, size as number, size as number])
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

  test('a folder that is dropped is a checkpoint, and pictures can be dropped and pasted', async () => {
    const { page, errors, close } = await opened()
    const drops = page.locator('.drop')
    await drop(page, drops.first(), [folder])
    await page.getByText('0.1 million').waitFor()
    await drop(page, drops.first(), pictureFiles.slice(0, 2))
    await page.getByRole('button', { name: 'Look at picture 1.png' }).waitFor()

    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
    const copy = (kind: 'picture' | 'both') =>
      page.evaluate(
        async ([base64, kind]) => {
          const blob = await (await fetch(`data:image/png;base64,${base64}`)).blob()
          const text = new Blob(['a cat'], { type: 'text/plain' })
          const item = new ClipboardItem({ 'image/png': blob, ...(kind === 'both' && { 'text/plain': text }) })
          await navigator.clipboard.write([item])
        },
        [pictures[2].toString('base64'), kind] as const,
      )
    await copy('picture')
    await page.keyboard.press('Control+V')
    await page.getByRole('button', { name: 'Look at image.png' }).waitFor()
    await read(page)
    await page.waitForFunction(() => !document.body.innerText.includes('is being read'))

    // a field takes the text of what is copied as both
    await copy('both')
    await page.getByLabel('sentence').fill('')
    await page.getByLabel('sentence').press('Control+V')
    assert.equal(await page.getByLabel('sentence').inputValue(), 'a cat')
    assert.equal(await page.getByRole('button', { name: /^Look at/ }).count(), 3)

    // a file that is dropped beside the places does not end the page
    const isStopped = (type: string) =>
      page.evaluate(
        type => !document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true })),
        type,
      )
    assert.deepEqual([await isStopped('dragover'), await isStopped('drop')], [true, true])
    assert.deepEqual(errors, [])
    await close()
  })

  test('files that are dropped in the wrong place or of the wrong kind are named, with what to do', async () => {
    const { page, close } = await opened()
    const drops = page.locator('.drop')
    const alert = page.getByRole('alert')
    await drop(page, drops.first(), [pictureFiles[0]])
    await alert.getByText('picture 0.png is a picture: add it under “Your pictures”').waitFor()
    const torch = join(folder, 'pictures', 'open_clip_pytorch_model.bin')
    await writeFile(torch, 'PK')
    await drop(page, drops.first(), [torch])
    await alert.getByText('is a file of PyTorch, and this page reads safetensors').waitFor()
    await rm(torch)
    await drop(page, drops.nth(1), [join(folder, FILES[0])])
    await alert.getByText(`${FILES[0]} is not a picture`).waitFor()

    const text = {
      name: 'model.safetensors',
      mimeType: 'application/octet-stream',
      buffer: Buffer.from('<!doctype html>'),
    }
    await page.getByLabel('Choose files').setInputFiles(text)
    await give(page, FILES.slice(1))
    await alert.getByText(/^model\.safetensors: .*(header|bytes)/).waitFor()
    await page.getByRole('button', { name: 'Begin again' }).click()
    assert.equal(await page.getByText('is missing').count(), 3)
    await close()
  })

  test('a URL without weights is told by its reason, and not asked for in vain', async t => {
    const { address, end } = await serveWeights(folder)
    t.after(end)
    const { page, close } = await opened()
    const look = async (url: string) => {
      await page.getByLabel('or the URL').fill(url)
      await page.getByRole('button', { name: 'Look', exact: true }).click()
    }
    const alert = page.getByRole('alert')
    await look(`${address}none.safetensors`)
    await alert.getByText('the server answers 404').waitFor()
    await look(`${url}openclip-model.html`)
    await alert.getByText('is a web page, not a file of weights').waitFor()
    await look('http://127.0.0.1:9/open_clip_model.safetensors')
    await alert.getByText('there is no such server, or it does not let this page read its files (CORS)').waitFor()
    assert.equal(await page.getByText('is missing').count(), 3, 'nothing is taken from these')
    await look(`${address}${FILES[0]}`)
    await page.getByText('Still missing: vocabulary').waitFor()
    assert.equal(await alert.count(), 0)
    await close()
  })

  test('a camera that is forbidden or not there is told', async () => {
    const { page, close } = await opened()
    for (const [name, said] of [
      ['NotAllowedError', 'allow it in the address bar'],
      ['NotFoundError', 'No camera was found'],
    ] as const) {
      await page.evaluate(name => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', name))
      }, name)
      await page.getByRole('button', { name: 'Use the camera' }).click()
      await page.getByRole('alert').getByText(said).waitFor()
    }
    await close()
  })

  test('a CLIP compares names as Node does, and offers no caption', async () => {
    const clip = join(folder, 'clip')
    await writeClip(clip)
    const { page, errors, close } = await opened()
    await drop(page, page.locator('.drop').first(), [clip])
    await page.getByText('CLIP', { exact: true }).waitFor()
    await addPictures(page)
    await read(page)
    await page.getByText('writes no captions').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Write a caption' }).count(), 0)
    const { model, preprocessing } = await openClip(clip, { family: 'dual-encoder' })
    const labels = ['cat', 'dog', 'ph']
    const shown = await namesOf(page, labels)
    const ids = fromData(
      clipWords.tokenize(
        labels.map(label => `a ${label}`),
        CONTEXT,
      ),
      [3, CONTEXT],
    )
    const image = await imageOf(pictures[0], preprocessing)
    const cosines = noGrad(() => model.encodeImage(image).matmul(model.encodeText(ids).transpose(0, 1)).reshape([3]))
    const shares = noGrad(() => cosines.mul(model.logScale.exp()).softmax()).dataSync()
    for (const [i, { percent, cosine }] of shown.entries()) {
      assert.ok(Math.abs(cosine - cosines.dataSync()[i]) < 0.001, `${labels[i]}: ${cosine}`)
      assert.ok(Math.abs(percent - 100 * shares[i]) < 0.2, `${labels[i]}: ${percent} %`)
    }
    assert.deepEqual(errors, [])
    await close()
  })

  test('a SigLIP gives each name a probability of its own, as Node does', async () => {
    const siglip = join(folder, 'siglip')
    const tokenizer = await writeSigLip(siglip)
    const { page, errors, close } = await opened()
    await give(
      page,
      FILES.map(name => join('siglip', name)),
    )
    await page.getByRole('alert').getByText('put the tokenizer_config.json of the model beside it').waitFor()
    await give(page, [join('siglip', 'tokenizer_config.json')])
    await page.getByText('SigLIP', { exact: true }).waitFor()
    await addPictures(page)
    await read(page)
    await page.getByText('writes no captions').waitFor()
    const labels = ['cat', 'photo', 'dog']
    const { model, preprocessing } = await openClip(siglip, { family: 'dual-encoder' })
    const shown = await namesOf(page, labels)
    const ids = fromData(
      tokenizer.tokenize(
        labels.map(label => `a ${label}`),
        CONTEXT,
      ),
      [3, CONTEXT],
    )
    const image = await imageOf(pictures[0], preprocessing)
    const cosines = noGrad(() => model.encodeImage(image).matmul(model.encodeText(ids).transpose(0, 1)).reshape([3]))
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

  test('weights without a configuration open by the name of their architecture', async () => {
    const weights = join(folder, 'epoch.safetensors')
    await writeUnnamed(weights, 'ViT-S-32-alt')
    const { page, close } = await opened()
    assert.equal(await page.getByRole('combobox').count(), 0)
    await give(page, ['epoch.safetensors', 'tokenizer.json'])
    await page.getByText('Still missing: configuration').waitFor()
    const name = page.getByRole('combobox', { name: 'architecture', exact: true })
    const use = page.getByRole('button', { name: 'Use it' })
    await name.selectOption('ViT-S-32')
    await use.click()
    await page
      .getByRole('alert')
      .getByText(/epoch\.safetensors: /)
      .waitFor()
    await name.selectOption('ViT-S-32-alt')
    await use.click()
    await page.getByText('CLIP', { exact: true }).waitFor()
    const count = withoutAllocation(() => new DualEncoder(fromClipConfig(openClipArchitectures['ViT-S-32-alt'])))
    await page.getByText(`${(count.parameterCount() / 1e6).toFixed(1)} million`).waitFor()
    await rm(weights)
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
