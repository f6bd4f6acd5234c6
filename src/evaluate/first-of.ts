// Some of the examples of a source.

import { type ImageTextSource, type MultiImageSource, selectExamples } from '../data/index.ts'

/** The first examples of a source. */
export function firstOf<Source extends ImageTextSource | MultiImageSource>(
  source: Source,
  count: number,
): Source extends MultiImageSource ? MultiImageSource : ImageTextSource {
  const indices = Array.from({ length: Math.min(count, source.length) }, (_, index) => index)
  return selectExamples(source, indices, count < source.length ? `${count} of ${source.fingerprint}` : undefined)
}
