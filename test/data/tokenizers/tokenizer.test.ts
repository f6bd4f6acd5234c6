import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WordTokenizer } from '../../../src/data/tokenizers/tokenizer.ts'
import { fc } from '../../support.ts'

const captions = ['A red circle.', 'a red square', 'a blue circle', "the cat's t-shirt, red"]

test('ids are ordered by frequency, then by the alphabet, after the four special ones', () => {
  const tokenizer = WordTokenizer.fromCaptions(captions)
  assert.deepEqual(tokenizer.words, ['a', 'red', 'circle', ',', '.', 'blue', "cat's", 'square', 't-shirt', 'the'])
  assert.equal(tokenizer.vocabularySize, 14)
  assert.deepEqual([tokenizer.pad, tokenizer.start, tokenizer.end, tokenizer.unknown], [0, 1, 2, 3])
  assert.deepEqual(WordTokenizer.fromCaptions([...captions].reverse()).words, tokenizer.words)
})

test('upper case is distinguished only with lowerCase: false', () => {
  const tokenizer = WordTokenizer.fromCaptions(captions, { lowerCase: false })
  assert.deepEqual(tokenizer.words.slice(0, 4), ['red', 'a', 'circle', ','])
  assert.notDeepEqual(tokenizer.encode('A'), tokenizer.encode('a'))
})

test('composed and decomposed accents are the same letter', () => {
  const tokenizer = WordTokenizer.fromCaptions(['un caf\u00e9'])
  assert.deepEqual(tokenizer.encode('cafe\u0301'), tokenizer.encode('caf\u00e9'))
})

test('a row consists of start, words, end and padding', () => {
  const tokenizer = WordTokenizer.fromCaptions(captions)
  assert.deepEqual(
    [...tokenizer.tokenize(['a red circle', 'A GREEN square!'], 6)],
    [1, 4, 5, 6, 2, 0, 1, 4, 3, 11, 3, 2],
  )
  assert.deepEqual([...tokenizer.tokenize(['', ' '], 3)], [1, 2, 0, 1, 2, 0])
})

test('a text that is too long throws, or is truncated before its end id', () => {
  const tokenizer = WordTokenizer.fromCaptions(captions)
  assert.throws(() => tokenizer.tokenize(['a', 'a red circle.'], 5), {
    name: 'TokenizerError',
    message: "'a red circle.' takes 6 ids with start and end, and the context length is 5",
  })
  assert.deepEqual([...tokenizer.tokenize(['a red circle.'], 5, { truncate: true })], [1, 4, 5, 6, 2])
  assert.throws(() => tokenizer.tokenize(['a'], 1), /at least 2, not 1/)
})

test('decoded text has its punctuation in place', () => {
  const tokenizer = WordTokenizer.fromCaptions(['the cat (asleep), red: yes!'])
  assert.equal(tokenizer.decode(tokenizer.tokenize(['The cat (asleep),  red:yes!'], 16)), 'the cat (asleep), red: yes!')
  assert.equal(tokenizer.decode(tokenizer.encode('the dog')), 'the <unk>')
  assert.throws(() => tokenizer.decode([99]), { message: /id 99 is outside the vocabulary of 14/ })
})

test('decoding and encoding again gives the same ids, for any text', () => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), fc.lorem())
  fc.assert(
    fc.property(fc.array(text, { minLength: 1 }), fc.boolean(), (texts, lowerCase) => {
      fc.pre(texts.some(text => /\S/u.test(text)))
      const tokenizer = WordTokenizer.fromCaptions(texts, { lowerCase })
      for (const text of texts) {
        const ids = tokenizer.encode(text)
        assert.ok(ids.every(id => id > 3 && id < tokenizer.vocabularySize))
        assert.deepEqual(tokenizer.encode(tokenizer.decode(ids)), ids)
      }
    }),
  )
})

test('no text encodes to a special id', () => {
  const tokenizer = WordTokenizer.fromCaptions(['<pad> <start> <end>'])
  assert.ok(tokenizer.encode('<end> <pad> end <start>').every(id => id > 3))
})

test('a vocabulary that is too small throws an error with a sufficient minCount', () => {
  assert.throws(() => WordTokenizer.fromCaptions(captions, { maxVocabulary: 7 }), {
    name: 'TokenizerError',
    message: '10 words and 4 special ids do not fit in a vocabulary of 7: minCount 2 would keep few enough',
  })
  assert.deepEqual(WordTokenizer.fromCaptions(captions, { maxVocabulary: 7, minCount: 2 }).words, [
    'a',
    'red',
    'circle',
  ])
  assert.throws(() => WordTokenizer.fromCaptions(['a b'], { maxVocabulary: 5 }), /vocabulary of 5$/)
  assert.throws(() => WordTokenizer.fromCaptions(['  ']), /no word occurs 1 times/)
})

test('a tokenizer is restored from its JSON, and other JSON throws', () => {
  const tokenizer = WordTokenizer.fromCaptions(captions, { lowerCase: false })
  const copy = WordTokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)))
  assert.deepEqual(copy.tokenize(captions, 9), tokenizer.tokenize(captions, 9))
  assert.deepEqual(copy.toJSON(), tokenizer.toJSON())
  const wrong: [unknown, RegExp][] = [
    [null, /type is undefined/],
    [{ type: 'bytes' }, /type is "bytes"/],
    [{ type: 'words', words: [] }, /lowerCase is not true or false/],
    [{ type: 'words', lowerCase: true, words: 'a' }, /words is not a list/],
    [{ type: 'words', lowerCase: true, words: ['a', 3] }, /words\[1\] is not a word/],
    [{ type: 'words', lowerCase: true, words: ['a', 'b', 'a'] }, /names a word twice/],
  ]
  for (const [value, message] of wrong) assert.throws(() => WordTokenizer.fromJSON(value), message)
})
