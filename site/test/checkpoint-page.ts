// The page of a checkpoint, and what a person does there, with a small CoCa of OpenCLIP's architecture and some pictures in a folder.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { device } from '../../src/tensor/index.ts'
import { FILES, pictures, writeCheckpoint } from './checkpoints.ts'
import { visit } from './site.ts'

/** In a group of tests, the page and the files for it. */
export function checkpointPage() {
  const site = visit({ args: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'] })
  let folder: string
  let pictureFiles: string[]
  before(async () => {
    await device.use('cpu')
    folder = await mkdtemp(join(tmpdir(), 'openclip-'))
    await writeCheckpoint(folder)
    pictureFiles = pictures.map((_, i) => join(folder, 'pictures', `picture ${i}.png`))
    await mkdir(join(folder, 'pictures'))
    await Promise.all(pictures.map((bytes, i) => writeFile(pictureFiles[i], bytes)))
  })
  after(() => rm(folder, { recursive: true }))
  return {
    get folder() {
      return folder
    },
    get pictureFiles() {
      return pictureFiles
    },
    get address() {
      return `${site.url}openclip-model.html`
    },
    opened: () => site.open('openclip-model.html'),
    /** Chooses files of the folder, by their names there. */
    give: (page: Page, names: readonly string[] = FILES) =>
      page.getByLabel('Choose files').setInputFiles(names.map(name => join(folder, name))),
  }
}

export async function readWeights(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Read the weights' }).click()
  await page.getByText('The weights were read in').waitFor()
}

export const addPictures = (page: Page) =>
  page
    .getByLabel('Choose pictures')
    .setInputFiles(pictures.map((buffer, i) => ({ name: `picture ${i}.png`, mimeType: 'image/png', buffer })))

/** Gives the address of the weights. */
export async function lookAt(page: Page, url: string): Promise<void> {
  await page.getByLabel('or the URL').fill(url)
  await page.getByRole('button', { name: 'Look', exact: true }).click()
}

/** Drags files or folders of this computer to a place, and drops them. */
export async function drop(page: Page, place: Locator, files: readonly string[]): Promise<void> {
  const box = (await place.boundingBox())!
  const client = await page.context().newCDPSession(page)
  const data = { items: [], files: [...files], dragOperationsMask: 1 }
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await client.send('Input.dispatchDragEvent', { type, x: box.x + box.width / 2, y: box.y + 5, data })
  await client.detach()
}
