// The classes of images, for a classifier: names in a list of captions, or one folder for each class.

import { readdir } from 'node:fs/promises'
import { DataError } from '../io/index.ts'
import * as is from '../tensor/kinds.ts'
import { IMAGE_FORMATS } from './images/header.ts'
import { IMAGE_FILE } from './images/image.ts'

type Refuse = (reason: string) => DataError

/** Whether classes are read: `optional` reads those that there are, and an example may have none. */
export type ReadLabels = boolean | 'optional'
export const isReadLabels = new is.Kind<ReadLabels>(
  "true, false or 'optional'",
  x => typeof x === 'boolean' || x === 'optional',
)

/**
 * The classes that a line names: `label` or `labels`, one or a list of them, as text or whole numbers.
 * @throws the result of `refuse` for a field of another kind, and for both fields at once
 */
export function labelsIn({ label, labels }: Readonly<Record<string, unknown>>, refuse: Refuse): string[] {
  if (label !== undefined && labels !== undefined) throw refuse("has both 'label' and 'labels': use one of them")
  const [field, value] = label === undefined ? ['labels', labels] : ['label', label]
  if (value === undefined) return []
  const each: unknown[] = Array.isArray(value) ? value : [value]
  if (each.length === 0) throw refuse(`'${field}' is an empty list`)
  return each.map(item => {
    if (typeof item !== 'string' && !Number.isSafeInteger(item))
      throw refuse(`'${field}' is ${JSON.stringify(item)}, neither text nor a whole number`)
    const name = String(item).trim()
    if (name === '') throw refuse(`'${field}' is empty`)
    return name
  })
}

/** The classes that a line names, if it names any: fields of another kind are not labels. */
export function labelsIfAny(fields: Readonly<Record<string, unknown>>): string[] {
  try {
    return labelsIn(fields, reason => new DataError(reason))
  } catch (error) {
    if (error instanceof DataError) return []
    throw error
  }
}

/** Every class of some images once: numbers in ascending order, then names in alphabetical order. */
export function classesOf(images: readonly { readonly labels?: readonly string[] }[]): string[] {
  const names = [...new Set(images.flatMap(({ labels = [] }) => labels))]
  const number = (name: string) => (/^-?\d+$/.test(name) ? Number(name) : Number.POSITIVE_INFINITY)
  return names.sort((a, b) => {
    const [x, y] = [number(a), number(b)]
    if (x !== y) return x - y
    return a < b ? -1 : 1
  })
}

/** The targets of a classification loss. */
export interface ClassTargets {
  readonly data: Int32Array
  /** [batch] of class numbers, or [batch, classes] of ones and zeros if an image of the batch has several classes */
  readonly shape: readonly number[]
}

/**
 * The classes of a batch of images by number, as `classificationLoss` takes them.
 * @param labels the names of each image's classes, as in a batch
 * @param classes all names; the index of a name is its number
 * @throws RangeError for a label that is not one of the classes, and for an image without a label
 */
export function classTargets(labels: readonly (readonly string[])[], classes: readonly string[]): ClassTargets {
  const numbers = new Map(classes.map((name, i) => [name, i]))
  const rows = labels.map((names, image) => {
    if (names.length === 0) throw new RangeError(`classTargets: image ${image} has no label`)
    return names.map(name => {
      const number = numbers.get(name)
      if (number === undefined)
        throw new RangeError(
          `classTargets: label '${name}' of image ${image} is not one of the ${classes.length} classes`,
        )
      return number
    })
  })
  if (rows.every(row => row.length === 1)) return { data: Int32Array.from(rows.flat()), shape: [rows.length] }
  const data = new Int32Array(rows.length * classes.length)
  for (const [image, row] of rows.entries()) for (const number of row) data[image * classes.length + number] = 1
  return { data, shape: [rows.length, classes.length] }
}

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
