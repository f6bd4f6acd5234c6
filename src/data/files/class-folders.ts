// A folder of images with a folder for each class, as examples of a DataLoader: the picture and the number of its class.

import { DataError } from '../../io/index.ts'
import { ImageTextDataset, type OpenDatasetOptions } from '../dataset.ts'
import { imageShapeOf } from '../image-text-source.ts'
import type { ShapedData } from '../loading/collate.ts'
import type { Dataset } from '../loading/source.ts'

/** A picture and its class. */
export interface ClassifiedImage {
  /** [channels, height, width] in 0 … 1 */
  readonly image: ShapedData
  /** the number of its class, int32 */
  readonly label: ShapedData
}

/** Pictures with their classes, which are decoded when they are asked for. */
export interface ClassFolders extends Dataset<ClassifiedImage> {
  /** names of the classes; the index of a name is its number */
  readonly classes: readonly string[]
  /** the path of an image below the folder */
  name(index: number): string
  get(index: number): Promise<ClassifiedImage>
}

/**
 * Opens a folder with one folder of images for each class, as `openData(path, { labels: true })` does.
 * @throws DataError for a folder without folders, with images beside them, or with a folder without an image
 */
export async function openClassFolders(
  folder: string,
  options: Omit<OpenDatasetOptions, 'labels'>,
): Promise<ClassFolders> {
  const images = await ImageTextDataset.open(folder, { ...options, labels: true })
  const { classes, length } = images
  return {
    classes,
    length,
    name: index => images.examples[index].file,
    async get(index) {
      const labels = images.labels?.(index) ?? []
      if (labels.length !== 1)
        throw new DataError(
          `'${images.examples[index].file}' has ${labels.length} classes, not one: ${labels.join(', ')}`,
          {
            file: folder,
          },
        )
      return {
        image: { data: await images.image(index), shape: imageShapeOf(images) },
        label: { data: Int32Array.of(classes.indexOf(labels[0])), shape: [] },
      }
    },
  }
}
