// BLEU and CIDEr-D against the published Python, against examples of the papers worked by hand, and their properties.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import * as metrics from '../../src/evaluate/caption-metrics.ts'
import { type Loose, loose, refuse } from '../loose.ts'
import { assertCloseNumbers, fc, runs } from '../support.ts'

const { bleu, captionWords, cider } = metrics

interface Corpus {
  readonly name: string
  readonly candidates: readonly string[]
  readonly references: readonly (readonly string[])[]
  /** BLEU-1 … BLEU-4 */
  readonly bleu: readonly number[]
  readonly bleuEach: readonly (readonly number[])[]
  readonly sigma: number
  readonly cider: number
  readonly ciderEach: readonly number[]
}

const { corpora } = JSON.parse(readFileSync(new URL('../golden/captions.json', import.meta.url), 'utf8')) as {
  readonly corpora: readonly Corpus[]
}

/** Numbers may differ by 1e-9 of themselves, however small they are. */
function assertAgree(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length)
  for (const [i, x] of actual.entries())
    assert.ok(Math.abs(x - expected[i]) <= 1e-9 * Math.abs(expected[i]), `number ${i} is ${x}, expected ${expected[i]}`)
}

describe('the published COCO evaluation gives the same scores', () => {
  for (const { name, candidates, references, ...expected } of corpora) {
    for (const [i, score] of expected.bleu.entries())
      test(`BLEU-${i + 1} of ${name}`, () => {
        const found = bleu(candidates, references, { nGram: i + 1 })
        assertAgree([found.score, ...found.each], [score, ...expected.bleuEach[i]])
      })
    test(`CIDEr-D of ${name}`, () => {
      const found = cider(candidates, references, { sigma: expected.sigma })
      assertAgree([found.score, ...found.each], [expected.cider, ...expected.ciderEach])
    })
  }

  test('for 84 captions, of which enough are neither wrong nor perfect', () => {
    assert.equal(corpora.flatMap(corpus => corpus.candidates).length, 84)
    assert.ok(corpora[0].ciderEach.filter(x => x > 0.1 && x < 9.9).length > 20)
    assert.ok(corpora[0].bleuEach[3].filter(x => x > 0.01 && x < 0.99).length > 10)
  })
})

describe('the examples of Papineni et al. 2002', () => {
  const references = [
    'It is a guide to action that ensures that the military will forever heed Party commands.',
    'It is the guiding principle which guarantees the military forces always being under the command of the Party.',
    'It is the practical guide for the army always to heed the directions of the party.',
  ]
  const first = 'It is a guide to action which ensures that the military always obeys the commands of the party.'
  const second = 'It is to insure the troops forever hearing the activity guidebook that party direct.'
  const cat = ['The cat is on the mat.', 'There is a cat on the mat.']

  for (const [candidate, own, precisions] of [
    [first, references, [17 / 18, 10 / 17]],
    [second, references, [8 / 14, 1 / 13]],
    ['the the the the the the the', cat, [2 / 7, 0]],
    ['of the', references, [1, 1]],
  ] as const)
    test(`precisions of ${candidate}`, () => {
      assertCloseNumbers(bleu([candidate], [own], { nGram: 2 }).precisions, precisions)
    })

  test('the brevity penalty is 1 for 12 words beside references of 12, 15 and 17', () => {
    const words = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`).join(' ')
    assertCloseNumbers([bleu([words(12)], [[17, 12, 15].map(words)]).brevityPenalty], [1], 1e-9)
    // the closest lengths of a corpus are added: 10 words beside 8 + 4, for which 6 is as near as 4
    const { brevityPenalty } = bleu([words(5), words(5)], [[words(8)], [words(6), words(4)]])
    assertCloseNumbers([brevityPenalty], [Math.exp(1 - 12 / 10)], 1e-9)
  })

  test('a corpus is scored as a whole', () => {
    // p₁ = (4 + 1) / (4 + 2), p₂ = (3 + 0) / (3 + 1), 6 words beside 6
    const { score, precisions } = bleu(['a b c d', 'e f'], [['a b c d'], ['e g']], { nGram: 2 })
    assertCloseNumbers(precisions, [5 / 6, 3 / 4])
    assertCloseNumbers([score], [Math.sqrt((5 / 6) * (3 / 4))], 1e-9)
  })
})

describe('CIDEr-D by hand', () => {
  // 'red' is in references of both images and counts nothing; all others weigh log 2, which a cosine does not depend on
  const references = [['red star'], ['red ring']]
  const each = (first: string, second: string, own = references) => cider([first, second], own).each

  test('an equal caption of two words scores 1 for two of four n', () => {
    assertCloseNumbers(each('red star', 'red ring'), [5, 5])
  })

  test('a word that no reference has makes the vector longer', () => {
    assertCloseNumbers(each('star ring', 'red'), [2.5 / Math.SQRT2, 0])
  })

  test('a repeated word is clipped, and another length costs exp(-1 / 72)', () => {
    const expected = 2.5 * (1 / 2 + 1 / Math.SQRT2) * Math.exp(-1 / 72)
    assertCloseNumbers(each('red star star', 'red ring'), [expected, 5])
  })

  test('the score is a mean over references, and that of a corpus one over images', () => {
    const found = cider(['red star', 'ring'], [['red star', 'blue sky'], ['red ring']])
    assertCloseNumbers(found.each, [2.5, 2.5 * Math.exp(-1 / 72)])
    assertCloseNumbers([found.score], [(found.each[0] + found.each[1]) / 2])
  })

  test('an n-gram in two references of one image is in one image', () => {
    // with d = 2 the weight of 'star' would be 0
    const [found] = each('star', 'ring', [['star', 'star red'], ['ring']])
    assertCloseNumbers([found], [1.25 * (1 + Math.SQRT1_2 * Math.exp(-1 / 72))])
  })
})

describe('words of captions', () => {
  for (const [caption, ...words] of [
    ['A  Red\tstar, above (a) BLUE ring!', 'a', 'red', 'star', 'above', 'a', 'blue', 'ring'],
    [
      "A man's t-shirt doesn't fit; the dogs' does",
      'a',
      'man',
      "'s",
      't-shirt',
      'does',
      "n't",
      'fit',
      'the',
      'dogs',
      'does',
    ],
    ['They’re 3.5 m and 1,000 kg at 10:30.', 'they', "'re", '3.5', 'm', 'and', '1,000', 'kg', 'at', '10:30'],
    ['un café – "déjà vu"…', 'un', 'café', 'déjà', 'vu'],
    ['Cafe\u0301', 'café'],
    ["n't - .", "n't"],
    [
      "a man 's dog doesn 't sit, is n't red; 's' and 'so'",
      ..."a man 's dog does n't sit is n't red s and so".split(' '),
    ],
    [' . '],
    [''],
  ])
    test(JSON.stringify(caption), () => assert.deepEqual(captionWords(caption), words))

  test("may be split by a function of one's own", () => {
    const tokenize = (caption: string) => [...caption]
    assertCloseNumbers([bleu(['abcd'], [['abcd']], { tokenize }).score], [1], 1e-8)
    assertCloseNumbers(cider(['abcd', 'x'], [['abcd'], ['y']], { tokenize }).each, [10, 0])
  })
})

describe('of any captions', () => {
  const words = (minLength: number) =>
    fc
      .array(fc.constantFrom('a', 'red', 'star', 'ring', 'on', 'two'), { minLength, maxLength: 9 })
      .map(x => x.join(' '))
  const pairs = fc.array(fc.tuple(words(0), fc.array(words(0), { minLength: 1, maxLength: 4 })), {
    minLength: 1,
    maxLength: 6,
  })
  type Pairs = readonly (readonly [string, readonly string[]])[]
  const scores = (given: Pairs) => {
    const [candidates, references] = [given.map(([text]) => text), given.map(([, own]) => own)]
    return { bleu: bleu(candidates, references), cider: cider(candidates, references) }
  }

  test('scores are in [0, 1] and in [0, 10]', () => {
    fc.assert(
      fc.property(pairs, given => {
        const { bleu, cider } = scores(given)
        for (const x of [bleu.score, bleu.brevityPenalty, ...bleu.precisions, ...bleu.each])
          assert.ok(x >= 0 && x <= 1, `${x}`)
        for (const x of [cider.score, ...cider.each]) assert.ok(x >= 0 && x <= 10 + 1e-12, `${x}`)
      }),
      runs(200),
    )
  })

  test('captions of four words and more that equal their only references have BLEU 1', () => {
    fc.assert(
      fc.property(fc.array(words(4), { minLength: 1, maxLength: 5 }), texts => {
        const { bleu } = scores(texts.map(text => [text, [text]]))
        assertCloseNumbers([bleu.score, ...bleu.each], [1, ...texts.map(() => 1)], 1e-8)
      }),
      runs(100),
    )
  })

  test('a caption that equals its only reference has CIDEr-D 10 where no other image has its words', () => {
    fc.assert(
      fc.property(words(4), pairs, (text, others) => {
        const own = text.replaceAll(/\S+/g, '$&-own')
        const { cider } = scores([[own, [own]], ...others])
        assertCloseNumbers([cider.each[0]], [10])
      }),
      runs(100),
    )
  })

  test('scores do not depend on the order of references and images', () => {
    fc.assert(
      fc.property(pairs, given => {
        const before = scores(given)
        const after = scores(given.map(([text, own]) => [text, own.toReversed()] as const).toReversed())
        for (const metric of ['bleu', 'cider'] as const) {
          assertCloseNumbers([after[metric].score], [before[metric].score])
          assertCloseNumbers(after[metric].each.toReversed(), before[metric].each)
        }
      }),
      runs(200),
    )
  })

  test('capitals, white space and a full stop change nothing', () => {
    fc.assert(
      fc.property(pairs, given => {
        const loud = given.map(([text, own]) => [` ${text.toUpperCase()} .`, own.map(x => `${x}.`)] as const)
        assert.deepEqual(scores(loud), scores(given))
      }),
      runs(50),
    )
  })

  test('another reference never lowers a precision', () => {
    fc.assert(
      fc.property(words(0), words(0), words(0), (text, one, other) => {
        const few = bleu([text], [[one]]).precisions
        const more = bleu([text], [[one, other]]).precisions
        assert.ok(more.every((p, i) => p >= few[i]))
      }),
      runs(100),
    )
  })
})

describe('captions that cannot be compared', () => {
  const calls = loose(metrics) as unknown as Record<'bleu' | 'cider', Loose>
  for (const name of ['bleu', 'cider'] as const) {
    const f = calls[name]
    refuse([
      [`${name}([], [])`, () => f([], []), 'RangeError', `${name}: there are no candidates`],
      [`${name} of lists of different length`, () => f(['a'], [['a'], ['b']]), 'RangeError', '2 lists', '1 candidates'],
      [`${name} without references`, () => f(['a', 'b'], [['a'], []]), 'RangeError', 'candidate 1 has no references'],
      [`${name} of one text`, () => f('a', [['a']]), 'ArgumentError', 'candidates must be a list of strings'],
      [`${name} of flat references`, () => f(['a'], ['a']), 'ArgumentError', 'write', 'references.map(one => [one])'],
      [`${name}(…, { n: 2 })`, () => f(['a'], [['a']], { n: 2 }), 'OptionsError', 'nGram'],
      [`${name}(…, { nGram: 0 })`, () => f(['a'], [['a']], { nGram: 0 }), 'OptionsError', 'a whole number above 0'],
    ])
  }
  refuse([['sigma: 0', () => calls.cider(['a'], [['a']], { sigma: 0 }), 'OptionsError', 'sigma', 'a number above 0']])
})
