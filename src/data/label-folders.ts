// Folders of images, one for each class.

import { readdir } from 'node:fs/promises'
import { DataError } from '../io/index.ts'
import { IMAGE_FORMATS } from './images/header.ts'
import { IMAGE_FILE } from './images/image.ts'

/**
 * Images in a folder for each class: the label and the caption of `cat/1.png` and of `cat/young/1.png` are `cat`.
 * @returns undefined if the folder contains no folder
 * @throws DataError for images beside the folders, and for a folder without an image
 */
export async function readClassFolders(
  folder: string,
): Promise<{ file: string; captions: string[]; labels: string[]; fields: Record<string, unknown> }[] | undefined> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.flatMap(entry => (entry.isDirectory() ? [entry.name] : [])).sort()
  if (names.length === 0) return undefined
  const beside = entries.find(entry => !entry.isDirectory() && IMAGE_FILE.test(entry.name))
  if (beside)
    throw new DataError(`has an image '${beside.name}' beside the folders of its classes: move it into one of them`, {
      file: folder,
    })
  const images = []
  for (const name of names) {
    const files = (await readdir(`${folder}/${name}`, { recursive: true })).filter(file => IMAGE_FILE.test(file)).sort()
    if (files.length === 0)
      throw new DataError(`has a folder '${name}' without a file of ${IMAGE_FORMATS}`, { file: folder })
    for (const file of files)
      images.push({ file: `${name}/${file.replaceAll('\\', '/')}`, captions: [name], labels: [name], fields: {} })
  }
  return images
}
