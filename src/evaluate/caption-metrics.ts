// Metrics that compare generated captions with references word by word: BLEU and CIDEr-D. They follow the published COCO
// caption evaluation (Chen et al. 2015, arXiv 1504.00325), so that scores can be set beside those of papers. METEOR
// (Denkowski and Lavie 2014) is not here: besides equal words it matches stems, synonyms of WordNet and paraphrases, with
// weights that were fitted to all of them. The published scorer is a Java program with tables of tens of megabytes, and
// without the tables it gives other numbers.

import { checkArguments } from '../tensor/arguments.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** Options of the metrics that compare captions. */
export interface CaptionMetricOptions {
  /** the longest n-grams, in words; default 4 */
  readonly nGram?: number
  /** splits a caption into words; default `captionWords` */
  readonly tokenize?: (caption: string) => readonly string[]
}
const metricOptions = {
  nGram: is.byDefault(4, is.count),
  tokenize: captionWords,
} satisfies Settings<CaptionMetricOptions>

const isTexts = (x: unknown): boolean => Array.isArray(x) && x.every(is.text.fits)
const captions = new is.Kind<readonly string[]>('a list of strings', isTexts)
const captionLists = new is.Kind<readonly (readonly string[])[]>(
  'a list with a list of strings for each candidate',
  x => Array.isArray(x) && x.every(isTexts),
  ([x]) => (isTexts(x) ? { text: 'references.map(one => [one])', values: 1 } : undefined),
)

const WORD = /[\p{L}\p{M}\p{N}]+(?:(?:['-]|(?<=\p{N})[.,:](?=\p{N}))[\p{L}\p{M}\p{N}]+)*/gu
/** white space before the end of a contraction, which tokenizers of models write: man 's, doesn 't */
const APART = /(?<=[\p{L}\p{N}])\s+(?='(?:s|t|re|ve|ll|m|d)(?![\p{L}\p{M}\p{N}']))/gu
const CONTRACTION = /(?:n't|'(?:s|re|ve|ll|m|d))$/

/**
 * The words of a caption, in small letters and without punctuation. Hyphens within words and points, commas and colons within
 * numbers stay: `t-shirt`, `3.5`. Contractions and possessives are two words, as in the Penn Treebank: `don't` gives `do`,
 * `n't`, and `dog's` gives `dog`, `'s`. So does `dog 's`, which is how CLIP's tokenizer writes it; its `t - shirt`
 * and `3 . 5` stay two words.
 *
 * The COCO evaluation splits captions with the Penn Treebank tokenizer of Stanford CoreNLP, a Java program, and removes
 * punctuation afterwards. For words, numbers, contractions and the usual punctuation this function has the same rules. Here, unlike
 * there, symbols (&, $, %) and brackets are dropped, the points of abbreviations go (`U.S.` gives `u`, `s`), and `cannot` and
 * `gonna` stay one word.
 */
export function captionWords(caption: string): string[] {
  const plain = caption.normalize('NFC').toLowerCase().replaceAll('’', "'")
  const words = plain.replaceAll(APART, '').match(WORD) ?? []
  return words.flatMap(word => {
    const at = word.search(CONTRACTION)
    return at > 0 ? [word.slice(0, at), word.slice(at)] : [word]
  })
}

/** A candidate and its references, as words. */
interface Compared {
  readonly candidate: readonly string[]
  readonly references: readonly (readonly string[])[]
}

/** @throws RangeError for no candidates, lists of different lengths, and a candidate without references */
function comparisons(
  call: string,
  candidates: readonly string[],
  references: readonly (readonly string[])[],
  tokenize: (caption: string) => readonly string[],
): Compared[] {
  if (candidates.length === 0) throw new RangeError(`${call}: there are no candidates`)
  if (references.length !== candidates.length)
    throw new RangeError(`${call}: ${references.length} lists of references for ${candidates.length} candidates`)
  const without = references.findIndex(own => own.length === 0)
  if (without >= 0)
    throw new RangeError(`${call}: candidate ${without} has no references: leave it out of both lists, or give it one`)
  return candidates.map((candidate, i) => ({
    candidate: tokenize(candidate),
    references: references[i].map(reference => tokenize(reference)),
  }))
}

type Counts = ReadonlyMap<string, number>

/** How often each n-gram occurs, for n = 1 … longest. */
function countNGrams(words: readonly string[], longest: number): Counts[] {
  return Array.from({ length: longest }, (_, i) => {
    const counts = new Map<string, number>()
    for (let start = 0; start + i < words.length; start++) {
      const key = words.slice(start, start + i + 1).join('\0')
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    return counts
  })
}

const sum = (values: Iterable<number>): number => {
  let total = 0
  for (const value of values) total += value
  return total
}

/** The result of `bleu`. */
export interface BleuResult {
  /** BLEU of the whole corpus, in [0, 1]; papers print it times 100 */
  readonly score: number
  /** p₁ … p_N, 0 where the candidates have no n-gram */
  readonly precisions: readonly number[]
  /** in [0, 1], 1 if the candidates are at least as long as the references */
  readonly brevityPenalty: number
  /** BLEU of each candidate on its own; their mean is not that of the corpus */
  readonly each: readonly number[]
}

/** n-grams of candidates, and those of them that the references have too. */
interface Matches {
  /** for n = 1 … N */
  readonly matched: readonly number[]
  readonly all: readonly number[]
  /** in words */
  readonly length: number
  /** of the references that are closest in length */
  readonly referenceLength: number
}

function matchesOf({ candidate, references }: Compared, longest: number): Matches {
  const counts = countNGrams(candidate, longest)
  const allowed = references.map(reference => countNGrams(reference, longest))
  const { length } = candidate
  return {
    matched: counts.map((own, n) =>
      sum([...own].map(([key, count]) => Math.min(count, Math.max(...allowed.map(other => other[n].get(key) ?? 0))))),
    ),
    all: counts.map(own => sum(own.values())),
    length,
    // the shorter one of two that are as close
    referenceLength: references
      .map(reference => reference.length)
      .reduce((best, x) => {
        const [far, least] = [Math.abs(x - length), Math.abs(best - length)]
        return far < least || (far === least && x < best) ? x : best
      }),
  }
}

/** The constants of the COCO code, which prevent division by zero and the logarithm of zero. */
const SMALL = 1e-9
const TINY = 1e-15

function bleuOf({ matched, all, length, referenceLength }: Matches): Omit<BleuResult, 'each'> {
  const product = matched.reduce((p, count, n) => (p * (count + TINY)) / (all[n] + SMALL), 1)
  return {
    score: product ** (1 / matched.length) * brevity(length + TINY, referenceLength + SMALL),
    precisions: matched.map((count, n) => (all[n] === 0 ? 0 : count / all[n])),
    brevityPenalty: brevity(length, referenceLength),
  }
}

const brevity = (c: number, r: number): number => (c < r ? Math.exp(1 - r / c) : 1)

/**
 * BLEU of a corpus, BP · (p₁ · … · p_N)^(1/N) with N = `nGram` (Papineni et al. 2002; as the COCO caption evaluation computes it).
 *
 * pₙ is the share of the candidates' n-grams that references have too, counted over all candidates. An n-gram counts at most as
 * often as it occurs in one of the candidate's own references. BP is 1 if c ≥ r, else exp(1 - r / c): c is the number of words of
 * all candidates, and r that of the references that are closest to them in length, the shorter one of two.
 *
 * As in the COCO code, the score takes matches with 1e-15 more and n-grams with 1e-9 more, and so c and r. A perfect score is
 * therefore below 1 by some 1e-9, and a score with pₙ = 0 is above 0: perfect captions of three words, which have no 4-grams,
 * get 0.03.
 *
 * @param candidates one generated caption for each image
 * @param references the captions of each image, one or more
 * @throws RangeError for no candidates, lists of different lengths, and a candidate without references
 */
export function bleu(
  candidates: readonly string[],
  references: readonly (readonly string[])[],
  options?: CaptionMetricOptions,
): BleuResult {
  const call = 'bleu(candidates, references, options)'
  checkArguments(call, [captions, captionLists, is.options], [candidates, references, options])
  const { nGram, tokenize } = settle(call, options, metricOptions)
  const all = comparisons('bleu', candidates, references, tokenize).map(one => matchesOf(one, nGram))
  const total = all.reduce((a, b) => ({
    matched: a.matched.map((count, n) => count + b.matched[n]),
    all: a.all.map((count, n) => count + b.all[n]),
    length: a.length + b.length,
    referenceLength: a.referenceLength + b.referenceLength,
  }))
  return { ...bleuOf(total), each: all.map(one => bleuOf(one).score) }
}

/** Options of `cider`. */
export interface CiderOptions extends CaptionMetricOptions {
  /** σ of the penalty for another length, in words; default 6 */
  readonly sigma?: number
}
const ciderOptions = {
  ...metricOptions,
  sigma: is.byDefault(6, new is.Kind<number>('a number above 0', x => is.number.fits(x) && x > 0)),
} satisfies Settings<CiderOptions>

/** The result of `cider`. */
export interface CiderResult {
  /** the mean over all candidates, in [0, 10]; papers print it times 100 */
  readonly score: number
  /** the score of each candidate */
  readonly each: readonly number[]
}

/** A caption's n-grams with their weights, for one n. */
interface Weighted {
  readonly weights: Counts
  readonly norm: number
}

/**
 * CIDEr-D of a corpus: the mean over candidates c of 10 · mean over n = 1 … N of mean over references s of
 * exp(-(|c| - |s|)² / 2σ²) · Σ min(gₙ(c), gₙ(s)) · gₙ(s) / (‖gₙ(c)‖ ‖gₙ(s)‖), with N = `nGram` (Vedantam et al. 2015, equation 4; as the
 * COCO caption evaluation computes it).
 *
 * gₙ(c) is a vector with a number for each n-gram: how often c contains it, times log(I / d). I is the number of images, and d
 * the number of images that have the n-gram in one of their references, at least 1. The sum is over all n-grams, and |c| is a
 * number of words. An n-gram that the references of all images have counts nothing. So does each n-gram of a corpus of one
 * image: its score is 0. Scores of corpora with other references cannot be compared.
 *
 * @param candidates one generated caption for each image
 * @param references the captions of each image, one or more
 * @throws RangeError for no candidates, lists of different lengths, and a candidate without references
 */
export function cider(
  candidates: readonly string[],
  references: readonly (readonly string[])[],
  options?: CiderOptions,
): CiderResult {
  const call = 'cider(candidates, references, options)'
  checkArguments(call, [captions, captionLists, is.options], [candidates, references, options])
  const { nGram, tokenize, sigma } = settle(call, options, ciderOptions)
  const corpus = comparisons('cider', candidates, references, tokenize)
  const counted = corpus.map(one => one.references.map(words => countNGrams(words, nGram)))
  const images = documentFrequencies(counted, nGram)

  const weigh = (counts: readonly Counts[]): Weighted[] =>
    counts.map((own, n) => {
      const rarity = (key: string) => Math.log(corpus.length) - Math.log(images[n].get(key) ?? 1)
      const weights = new Map([...own].map(([key, count]) => [key, count * rarity(key)]))
      return { weights, norm: Math.sqrt(sum([...weights.values()].map(x => x * x))) }
    })

  const each = corpus.map(({ candidate, references }, i) => {
    const own = weigh(countNGrams(candidate, nGram))
    const similarities = references.map((reference, j) => {
      const other = weigh(counted[i][j])
      const penalty = Math.exp(-((candidate.length - reference.length) ** 2) / (2 * sigma ** 2))
      return (penalty * sum(own.map((one, n) => clippedCosine(one, other[n])))) / nGram
    })
    return (10 * sum(similarities)) / references.length
  })
  return { score: sum(each) / each.length, each }
}

/** For n = 1 … N, how many images have an n-gram in one of their references. */
function documentFrequencies(references: readonly (readonly (readonly Counts[])[])[], nGram: number): Counts[] {
  return Array.from({ length: nGram }, (_, n) => {
    const images = new Map<string, number>()
    for (const own of references)
      for (const key of new Set(own.flatMap(counts => [...counts[n].keys()])))
        images.set(key, (images.get(key) ?? 0) + 1)
    return images
  })
}

/** Σ min(c, s) · s / (‖c‖ ‖s‖), 0 for a vector of zeros. */
function clippedCosine(candidate: Weighted, reference: Weighted): number {
  const norms = candidate.norm * reference.norm
  if (norms === 0) return 0
  const products = [...candidate.weights].map(([key, weight]) => {
    const other = reference.weights.get(key) ?? 0
    return Math.min(weight, other) * other
  })
  return sum(products) / norms
}
