// Some of the examples of a source.

import { type ImageTextSource, type MultiImageSource, selectExamples } from '../data/index.ts'

/** The first examples of a source. */
export function firstOf<Source extends ImageTextSource | MultiImageSource>(
  source: Source,
  count: number,
): Source extends MultiImageSource ? MultiImageSource : ImageTextSource {
  type Some = Source extends MultiImageSource ? MultiImageSource : ImageTextSource
  if (count >= source.length) return source as unknown as Some
  const indices = Array.from({ length: count }, (_, index) => index)
  return selectExamples(source, indices, `${count} of ${source.fingerprint}`)
}
