import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ClipTokenizer } from '../../../src/data/tokenizers/clip.ts'
import { JsonTokenizer } from '../../../src/data/tokenizers/json.ts'
import { tokenizerFromJSON } from '../../../src/data/tokenizers/parse.ts'
import { readTokenizer } from '../../../src/data/tokenizers/read.ts'
import { fc } from '../../support.ts'

const golden = join(import.meta.dirname, '../../golden/clip-tokenizer')
const file = join(golden, 'bpe_simple_vocab_16e6.txt.gz')
const clip = (await readTokenizer(file)) as ClipTokenizer
const json = (name: string) => JSON.parse(readFileSync(join(golden, name), 'utf8'))

/** The same with the names that OpenAI's CLIP gives to start and end. */
const openai = tokenizerFromJSON(
  JSON.parse(
    JSON.stringify(clip).replaceAll('<start_of_text>', '<|startoftext|>').replaceAll('<end_of_text>', '<|endoftext|>'),
  ),
)

interface Vector {
  readonly text: string
  readonly encode: number[]
  readonly tokenize_77: number[]
}

test('ids and rows equal those of the original', () => {
  assert.equal(clip.vocabularySize, 49408)
  for (const { text, encode, tokenize_77: row } of json('vectors.json').vectors as Vector[]) {
    assert.deepEqual(clip.encode(text), encode, text)
    const padded = [...row, ...new Array(77 - row.length).fill(0)]
    assert.deepEqual([...clip.tokenize([text], 77, { truncate: true })], padded, text)
  }
})

test('ids equal those of the original for random characters, references, contractions and broken encodings', () => {
  const { texts, ids } = json('more.json') as { texts: string[]; ids: number[][] }
  for (const [i, text] of texts.entries()) assert.deepEqual(openai.encode(text), ids[i], JSON.stringify(text))
})

test('a tokenizer.json of CLIP gives the same ids, and a damaged one throws an error that names the field', () => {
  const file = JSON.parse(JSON.stringify(clip))
  const copy = ClipTokenizer.fromJSON(file)
  const { vectors } = json('vectors.json') as { vectors: Vector[] }
  for (const { text, encode } of vectors) assert.deepEqual(copy.encode(text), encode)
  const pairs = {
    ...file,
    model: { ...file.model, merges: file.model.merges.map((merge: string) => merge.split(' ')) },
  }
  assert.deepEqual(ClipTokenizer.fromJSON(pairs).toJSON(), file)
  const damaged = (model: object) => ClipTokenizer.fromJSON({ ...file, model: { ...file.model, ...model } })
  assert.throws(() => damaged({ merges: ['i n', 'q'] }), /model\.merges\[1\] is "q", not two pieces/)
  const { '!': _, ...vocab } = file.model.vocab
  assert.throws(() => damaged({ vocab }), /has 49407 pieces, but none with id 0/)
  assert.throws(() => damaged({ type: 'Unigram' }), /is not the tokenizer.json of a CLIP/)
})

test('a text that is too long throws, or is truncated before its end', () => {
  assert.throws(() => clip.tokenize(['a cat '.repeat(40)], 77), { name: 'TokenizerError', message: /takes 82 ids/ })
  const row = clip.tokenize(['a cat '.repeat(40)], 77, { truncate: true })
  assert.deepEqual([row[0], row[76], row.includes(0)], [49406, 49407, false])
})

test('decoding gives the cleaned words, with a ! inside a word and without padding', () => {
  assert.equal(clip.decode(clip.tokenize(['A photo of a café 🐶!'], 77)), 'a photo of a café 🐶!')
  assert.equal(clip.decode([0, 1950, 49407, 0, 0]), '!£')
  assert.throws(() => clip.decode([49408]), /id 49408 is outside the vocabulary of 49408/)
})

test('every text has ids, and its decoding has the same ids if letters are words', () => {
  const word = fc.string({ unit: fc.constantFrom(...'abcdefghijklmnoéßжあ'), minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(fc.array(word), words => {
      const ids = clip.encode(words.join(' '))
      assert.deepEqual(clip.encode(clip.decode(ids)), ids)
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text =>
      assert.ok(
        clip.encode(text).every(id => id >= 0 && id < 49408),
        text,
      ),
    ),
  )
})

test('the error for an invalid list of merges names the line', () => {
  assert.throws(
    () => ClipTokenizer.fromMerges('#version: 0.2\na b\nab cd\n'),
    /line 3 is 'ab cd', not a pair of pieces/,
  )
  assert.throws(() => ClipTokenizer.fromMerges('#version: 0.2\na b c\n'), /line 2 is 'a b c'/)
})

// of OpenCLIP 3.3: open_clip.get_tokenizer('coca_ViT-B-32').encode(text)
const SPELLED: readonly (readonly [string, readonly number[]])[] = [
  [
    'a <start_of_text> b <end_of_text> <|startoftext|> <|endoftext|> c',
    [320, 49406, 321, 49407, 27, 347, 993, 6659, 4160, 91, 285, 27, 347, 40786, 4160, 91, 285, 322],
  ],
  ['<start_of_text>b<END_OF_TEXT>c', [49406, 321, 49407, 322]],
  ["it's<start_of_text>'s", [585, 568, 49406, 568]],
]

test('the spelling of start and end in a text gives their ids, as in OpenCLIP', () => {
  const copy = tokenizerFromJSON(JSON.parse(JSON.stringify(clip)))
  for (const [text, ids] of SPELLED)
    for (const tokenizer of [clip, copy]) assert.deepEqual(tokenizer.encode(text), ids, text)
})

test('a file that writes start and end as OpenAI does reads texts in that way', () => {
  assert.deepEqual(openai.encode('a<|startoftext|> b <|endoftext|>'), [320, 49406, 321, 49407])
  assert.equal(openai.encode('<start_of_text>').includes(49406), false)
  assert.deepEqual(
    JSON.parse(JSON.stringify(openai)).added_tokens.map(({ content }: { content: string }) => content),
    ['<|startoftext|>', '<|endoftext|>'],
  )
})

test('with splitSpecialTokens no text has the ids of start and end, and other texts keep their ids', () => {
  for (const [text] of SPELLED) {
    const ids = clip.encode(text, { splitSpecialTokens: true })
    assert.ok(!ids.includes(clip.start) && !ids.includes(clip.end), text)
    const row = [...clip.tokenize([text], 77, { splitSpecialTokens: true })]
    assert.deepEqual(row.slice(0, ids.length + 2), [clip.start, ...ids, clip.end])
  }
  const { vectors } = json('vectors.json') as { vectors: Vector[] }
  for (const { text, encode } of vectors) assert.deepEqual(clip.encode(text, { splitSpecialTokens: true }), encode)
  const own = JsonTokenizer.fromJSON({
    added_tokens: [
      { id: 1, content: '</s>', special: true },
      { id: 2, content: 'cat', special: false },
    ],
    pre_tokenizer: { type: 'Whitespace' },
    model: { type: 'WordLevel', vocab: { '[UNK]': 0, '</s>': 1, cat: 2, '</': 3, s: 4, '>': 5 }, unk_token: '[UNK]' },
  })
  assert.deepEqual(own.encode('cat </s>'), [2, 1])
  assert.deepEqual(own.encode('cat </s>', { splitSpecialTokens: true }), [2, 3, 4, 5])
})
