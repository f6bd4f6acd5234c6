// Pictures with the captions that a model generated, and the errors in them.

import { paraphrases } from '../../data/index.ts'
import { type Html, html } from './html.ts'
import { image, type Picture } from './picture.ts'

/** A picture with its own caption and the one that a model generated. */
export interface CaptionedPicture {
  readonly picture: Picture
  readonly reference: string
  readonly generated: string
  /** whether both have the same meaning */
  readonly isRight: boolean
}

export const verdict = (good: boolean, yes: string, no: string): Html =>
  html`<span class="verdict ${good ? 'right' : 'wrong'}">${good ? '✓' : '✗'} ${good ? yes : no}</span>`

export const gallery = (pictures: readonly CaptionedPicture[]): Html =>
  html`<ul class="gallery">${pictures.map(({ picture, reference, generated, isRight }) => {
    const nearest = nearestWording(reference, generated)
    return html`<li>${image(picture)}<p>${isRight ? generated : marked(generated, nearest)}</p>
${isRight ? undefined : html`<p class="note">correct: ${nearest}</p>`}${verdict(isRight, 'right', 'wrong')}</li>
`
  })}</ul>`

/** The caption with the meaning of the reference that shares most words with another caption. */
function nearestWording(reference: string, other: string): string {
  const shared = (caption: string) => commonWords(other.split(' '), caption.split(' ')).size
  return paraphrases(reference).reduce((best, caption) => (shared(caption) > shared(best) ? caption : best), reference)
}

/** A caption with its words underlined that are not in the longest common subsequence with another caption. */
function marked(text: string, reference: string): Html {
  const words = text.split(' ')
  const shared = commonWords(words, reference.split(' '))
  return html`${words.map((word, i) => (shared.has(i) ? html`${word} ` : html`<ins>${word}</ins> `))}`
}

/** Positions in `a` of a longest common subsequence of two lists. */
function commonWords(a: readonly string[], b: readonly string[]): Set<number> {
  // length[i][j]: length of the common subsequence of a from i on and b from j on
  const length = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0))
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      length[i][j] = a[i] === b[j] ? 1 + length[i + 1][j + 1] : Math.max(length[i + 1][j], length[i][j + 1])
  const shared = new Set<number>()
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      shared.add(i++)
      j++
    } else if (length[i + 1][j] >= length[i][j + 1]) i++
    else j++
  }
  return shared
}
