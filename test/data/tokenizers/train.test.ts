import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trainBytePairs } from '../../../src/data/tokenizers/learn-byte-pairs.ts'
import { tokenizerFromJSON } from '../../../src/data/tokenizers/parse.ts'
import { fc } from '../../support.ts'

const captions = ['a red circle', 'a red square', 'a blue circle above a red square', 'Ein grüner Kreis', '赤い丸']

interface File {
  readonly model: { readonly merges: string[]; readonly vocab: Record<string, number> }
}

test('the most frequent pair is joined first; of equally frequent pairs, the one with the smaller ids', () => {
  const { model } = trainBytePairs(['low low lower', 'slow'], { vocabularySize: 262 }).toJSON() as File
  // l o and o w occur 4 times each, Ġ l twice
  assert.deepEqual(model.merges, ['l o', 'lo w', 'Ġ low'])
  assert.deepEqual([model.vocab['<pad>'], model.vocab['<end>'], model.vocab['!'], model.vocab.low], [0, 2, 3, 260])
})

test('counts stay right while pairs are joined: every step agrees with a new count', () => {
  const words = fc.array(fc.string({ unit: fc.constantFrom(...'aab'), minLength: 1, maxLength: 9 }), {
    minLength: 1,
    maxLength: 12,
  })
  fc.assert(
    fc.property(words, words => {
      const { model } = trainBytePairs(words, { vocabularySize: 280, minCount: 1 }).toJSON() as File
      assert.deepEqual(model.merges, plainMerges(words, model.vocab, 280))
    }),
  )
})

/** The algorithm as the paper prints it: count all pairs, join the best, begin again. */
function plainMerges(texts: readonly string[], ids: Record<string, number>, size: number): string[] {
  let words = texts.map(text => [...text])
  const merges: string[] = []
  const pieces = new Set<string>()
  while (259 + pieces.size < size) {
    const counts = new Map<string, number>()
    for (const word of words)
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`
        counts.set(pair, (counts.get(pair) ?? 0) + 1)
      }
    const order = (pair: string) => pair.split(' ').map(piece => ids[piece])
    const [best] = [...counts].sort(([a, m], [b, n]) => n - m || order(a)[0] - order(b)[0] || order(a)[1] - order(b)[1])
    if (!best) break
    merges.push(best[0])
    const joined = best[0].replace(' ', '')
    pieces.add(joined)
    words = words.map(word => {
      const next: string[] = []
      for (let i = 0; i < word.length; i++)
        if (`${word[i]} ${word[i + 1]}` === best[0]) {
          next.push(joined)
          i++
        } else next.push(word[i])
      return next
    })
  }
  return merges
}

test('the order of the captions does not matter', () => {
  const order = fc.shuffledSubarray(captions, { minLength: captions.length })
  const expected = trainBytePairs(captions, { vocabularySize: 300 }).toJSON()
  fc.assert(
    fc.property(order, some => assert.deepEqual(trainBytePairs(some, { vocabularySize: 300 }).toJSON(), expected)),
    { numRuns: 20 },
  )
})

test('any text is decoded from its ids, seen in training or not', () => {
  const sensitive = trainBytePairs(captions, { vocabularySize: 320, lowerCase: false })
  const text = fc.oneof(fc.constantFrom(...captions), fc.string({ unit: 'grapheme' }), fc.lorem())
  fc.assert(
    fc.property(text, text => {
      fc.pre(!/<(pad|start|end)>/.test(text))
      assert.equal(sensitive.decode(sensitive.encode(text)), text.normalize('NFC'))
    }),
  )
  const small = trainBytePairs(captions, { vocabularySize: 320 })
  assert.equal(small.decode(small.encode('A RED circle')), 'a red circle')
})

test('a frequent word is one id, and a row has start, end and padding', () => {
  const tokenizer = trainBytePairs(captions, { vocabularySize: 300 })
  assert.ok(tokenizer.encode('a red circle').length < 6, 'merges are used')
  assert.deepEqual([tokenizer.pad, tokenizer.start, tokenizer.end], [0, 1, 2])
  const copy = tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer)))
  assert.deepEqual(copy.tokenize(captions, 40), tokenizer.tokenize(captions, 40))
})

test('a vocabulary that is too small for the bytes, or no captions, throw', () => {
  assert.throws(
    () => trainBytePairs(captions, { vocabularySize: 258 }),
    /at least 259 ids, of which 256 are bytes, not 258/,
  )
  assert.throws(() => trainBytePairs(['', ''], { vocabularySize: 300 }), /the captions contain no text/)
})
