// A caption in a form for comparison.

import { paraphrases } from '../data/index.ts'

/**
 * A caption in a form for comparison: without capitals, white space and a full stop at the end, and, for captions of two Shapes,
 * independent of which one is named first.
 */
export const plain = (caption: string): string => {
  const words = caption.normalize('NFC').toLowerCase().replace(/\s+/g, ' ').trim()
  return paraphrases(words.replace(/\s*\.$/, ''))[0]
}
