// Some of the images of a source.

import type { ImageTextSource } from '../data/index.ts'

/** The first images of a source. */
export function firstOf(source: ImageTextSource, count: number): ImageTextSource {
  if (count >= source.length) return source
  return {
    length: count,
    imageSize: source.imageSize,
    fingerprint: `${count} of ${source.fingerprint}`,
    captions: index => source.captions(index),
    ...(source.labels && { labels: (index: number) => source.labels!(index) }),
    name: index => source.name(index),
    image: index => source.image(index),
  }
}
