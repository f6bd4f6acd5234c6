// The classes of images, for a classifier: names, and their numbers.

import { DataError } from '../io/browser.ts'
import * as is from '../tensor/kinds.ts'

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
  /** row by row */
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
