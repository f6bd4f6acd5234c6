// Which position may see which: the paper's rules for the text half of CoCa's decoder, and ways to break them.

/** A text: words, then padding, then [CLS]. */
export interface Layout {
  readonly words: number
  readonly padding: number
}

export type Kind = 'word' | 'padding' | 'class'

export const lengthOf = ({ words, padding }: Layout): number => words + padding + 1

export const kindOf = (i: number, { words, padding }: Layout): Kind =>
  i < words ? 'word' : i < words + padding ? 'padding' : 'class'

/** How the mask differs from the paper's. */
export interface Break {
  /** how many positions past itself a word sees; 0 in the paper */
  readonly offset: number
  /** padding is seen like words */
  readonly seesPadding: boolean
  /** the row that hides padding is one position late, as in OpenCLIP's released weights */
  readonly isLate: boolean
  /** [CLS] is seen by every word */
  readonly seesClass: boolean
}

export const unbroken: Break = { offset: 0, seesPadding: false, isLate: false, seesClass: false }

/** The mask, row by row: whether position i (row) may attend to position j (column). */
export function maskOf(layout: Layout, { offset, seesPadding, isLate, seesClass }: Break): boolean[] {
  const length = lengthOf(layout)
  const isText = (j: number) => kindOf(j, layout) !== 'padding'
  // [word, …, padding, …, CLS], or [CLS, word, …, padding, …]: what is seen of each column
  const isSeen = (j: number) =>
    isLate ? j === 0 || (j - 1 < layout.words + layout.padding && isText(j - 1)) : isText(j)
  return Array.from({ length: length * length }, (_, at) => {
    const [i, j] = [Math.floor(at / length), at % length]
    if (seesClass && j === length - 1) return true
    const reaches = kindOf(i, layout) === 'class' ? j <= i : j <= i + offset && (j < length - 1 || i === j)
    return reaches && (seesPadding || isSeen(j))
  })
}

/** Whether the output of position i may depend on the input of position j, by the paper. */
export function mayDepend(i: number, j: number, layout: Layout): boolean {
  if (i === j) return true
  return j < i && kindOf(j, layout) === 'word'
}

/** What is wrong with a pair of positions, in words; undefined if nothing is. Nothing reads what padding puts out. */
export function faultOf(
  i: number,
  j: number,
  gradient: number,
  layout: Layout,
  names: readonly string[],
): { readonly kind: 'leak' | 'blind'; readonly text: string } | undefined {
  const [reader, read] = [kindOf(i, layout), kindOf(j, layout)]
  if (reader === 'padding') return undefined
  const depends = gradient !== 0
  const may = mayDepend(i, j, layout)
  if (depends === may) return undefined
  const name = (k: number) => (kindOf(k, layout) === 'word' ? `“${names[k]}” (${k + 1})` : names[k])
  if (!depends) return { kind: 'blind', text: `${name(i)} does not see ${name(j)}, and should.` }
  const why =
    read === 'class'
      ? 'which has read the whole text, so that words to come leak through it'
      : read === 'padding'
        ? reader === 'class'
          ? 'so that the embedding of a text depends on how far it is padded'
          : 'which is no part of the text'
        : 'which comes after it: the captioning loss would teach it to copy the next word'
  return { kind: 'leak', text: `${name(i)} sees ${name(j)}, ${why}.` }
}
