// The files and pictures that the page of a checkpoint takes, from where they come, and what it says of those that it cannot use.

import assert from 'node:assert/strict'
import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { DualEncoder } from '../../src/models/index.ts'
import { withoutAllocation } from '../../src/nn/index.ts'
import { openClipArchitectures } from '../../src/openclip/architectures.ts'
import { fromClipConfig } from '../../src/openclip/index.ts'
import { checkpointPage, drop, lookAt, readWeights } from './checkpoint-page.ts'
import { FILES, pictures, serveWeights, writeUnnamed } from './checkpoints.ts'
import { skip } from './site.ts'

describe('the files of the page of a checkpoint', { skip }, () => {
  const checkpoint = checkpointPage()

  test('weights come in parts from a URL of another server, and files that are missing are named', async t => {
    const { address, sent, end } = await serveWeights(checkpoint.folder)
    t.after(end)
    const { page, close } = await checkpoint.opened()
    await lookAt(page, `${address}${FILES[0]}`)
    await page.getByText('Still missing: vocabulary').waitFor()
    await checkpoint.give(page, ['tokenizer.json'])
    await readWeights(page)
    const { size } = await stat(join(checkpoint.folder, FILES[0]))
    assert.ok(sent.length >= 2)
    assert.ok(sent.reduce((sum, length) => sum + length, 0) <= size + 2 ** 16)
    await close()
  })

  test('reading can be cancelled and begun again', async t => {
    const { address, end } = await serveWeights(checkpoint.folder, { stalls: true })
    t.after(end)
    const { page, close } = await checkpoint.opened()
    await lookAt(page, `${address}${FILES[0]}`)
    await checkpoint.give(page, ['tokenizer.json'])
    for (let i = 0; i < 2; i++) {
      await page.getByRole('button', { name: 'Read the weights' }).click()
      await page.getByText(/0\.\d MB of 0\.\d MB/).waitFor()
      await page.getByRole('button', { name: 'Cancel' }).click()
    }
    await page.getByRole('button', { name: 'Read the weights' }).waitFor()
    await page.getByRole('button', { name: 'Another checkpoint' }).click()
    await checkpoint.give(page)
    await readWeights(page)
    await close()
  })

  test('a still of the camera is a picture, and what is none is named', async () => {
    const { page, errors, close } = await checkpoint.opened()
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
    const { page, errors, close } = await checkpoint.opened()
    const drops = page.locator('.drop')
    await drop(page, drops.first(), [checkpoint.folder])
    await page.getByText('0.1 million').waitFor()
    await drop(page, drops.first(), checkpoint.pictureFiles.slice(0, 2))
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
    await readWeights(page)
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
    const { page, close } = await checkpoint.opened()
    const drops = page.locator('.drop')
    const alert = page.getByRole('alert')
    await drop(page, drops.first(), [checkpoint.pictureFiles[0]])
    await alert.getByText('picture 0.png is a picture: add it under “Your pictures”').waitFor()
    const torch = join(checkpoint.folder, 'pictures', 'open_clip_pytorch_model.bin')
    await writeFile(torch, 'PK')
    await drop(page, drops.first(), [torch])
    await alert.getByText('is a file of PyTorch, and this page reads safetensors').waitFor()
    await rm(torch)
    await drop(page, drops.nth(1), [join(checkpoint.folder, FILES[0])])
    await alert.getByText(`${FILES[0]} is not a picture`).waitFor()

    const text = {
      name: 'model.safetensors',
      mimeType: 'application/octet-stream',
      buffer: Buffer.from('<!doctype html>'),
    }
    await page.getByLabel('Choose files').setInputFiles(text)
    await checkpoint.give(page, FILES.slice(1))
    await alert.getByText(/^model\.safetensors: .*(header|bytes)/).waitFor()
    await page.getByRole('button', { name: 'Begin again' }).click()
    assert.equal(await page.getByText('is missing').count(), 3)
    await close()
  })

  test('a URL without weights is told by its reason, and not asked for in vain', async t => {
    const { address, end } = await serveWeights(checkpoint.folder)
    t.after(end)
    const { page, close } = await checkpoint.opened()
    const look = (url: string) => lookAt(page, url)
    const alert = page.getByRole('alert')
    await look(`${address}none.safetensors`)
    await alert.getByText('the server answers 404').waitFor()
    await look(checkpoint.address)
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
    const { page, close } = await checkpoint.opened()
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

  test('weights without a configuration open by the name of their architecture', async () => {
    const weights = join(checkpoint.folder, 'epoch.safetensors')
    await writeUnnamed(weights, 'ViT-S-32-alt')
    const { page, close } = await checkpoint.opened()
    assert.equal(await page.getByRole('combobox').count(), 0)
    await checkpoint.give(page, ['epoch.safetensors', 'tokenizer.json'])
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
    const { page, close } = await checkpoint.opened()
    await page.getByLabel('Choose files').setInputFiles([
      { name: 'model.safetensors', mimeType: 'application/octet-stream', buffer: Buffer.from('nothing') },
      { name: 'config.json', mimeType: 'application/json', buffer: Buffer.from('{"embed_dim": 3}') },
      { name: 'tokenizer.json', mimeType: 'application/json', buffer: Buffer.from('{}') },
    ])
    assert.match((await page.getByRole('alert').textContent()) ?? '', /config\.json: vision_cfg/)
    await close()
  })
})
