import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { JsonTokenizer } from '../../../src/data/tokenizers/json.ts'
import { tokenizerFromJSON } from '../../../src/data/tokenizers/parse.ts'
import { readTokenizer } from '../../../src/data/tokenizers/read.ts'
import { WordTokenizer } from '../../../src/data/tokenizers/tokenizer.ts'
import { temporaryFolder } from '../folder.ts'

const golden = join(import.meta.dirname, '../../golden/tokenizers')
const vectors = JSON.parse(readFileSync(join(golden, 'vectors.json'), 'utf8'))
const open = (name: string) => readTokenizer(join(golden, `${name}.json.gz`))

for (const name of ['t5', 'gpt2', 'bert', 'llama'])
  test(`${name}: ids and decoded texts equal those of the Python library`, async () => {
    const tokenizer = await open(name)
    for (const [i, text] of (vectors.texts as string[]).entries()) {
      assert.deepEqual(tokenizer.encode(text), vectors[name].ids[i], text)
      // ids that begin and end rows are no text
      const ids = (vectors[name].ids[i] as number[]).filter(id => id !== tokenizer.end && id !== tokenizer.start)
      if (ids.length === vectors[name].ids[i].length)
        assert.equal(tokenizer.decode(ids), vectors[name].decoded[i], text)
    }
  })

test('start, end and padding are found in the file, or added', async () => {
  const special = async (name: string) => {
    const { pad, start, end, unknown, vocabularySize } = await open(name)
    return { pad, start, end, unknown, vocabularySize }
  }
  const { vocabularySize, ...bert } = await special('bert')
  assert.deepEqual(bert, { pad: 0, unknown: 1, start: 2, end: 3 })
  assert.equal(vocabularySize, 600)
  const t5 = await special('t5')
  assert.deepEqual(t5, { ...t5, pad: 0, end: 1, unknown: 2, start: t5.vocabularySize - 1 })
  const gpt2 = await special('gpt2')
  assert.deepEqual(gpt2, { pad: 600, start: 601, end: 0, unknown: undefined, vocabularySize: 602 })
})

test('a decoded row is the text, without start, end and padding', async () => {
  for (const name of ['t5', 'gpt2', 'llama']) {
    const tokenizer = await open(name)
    const row = tokenizer.tokenize(['a tape and a model', ''], 32)
    assert.deepEqual(
      [row[0], row[32], row[33], row[34]],
      [tokenizer.start, tokenizer.start, tokenizer.end, tokenizer.pad],
    )
    assert.equal(tokenizer.decode(row.subarray(0, 32)), 'a tape and a model')
    assert.equal(tokenizer.decode(row.subarray(32)), '')
  }
})

test('an unknown id throws', async () => {
  const tokenizer = await open('gpt2')
  for (const id of [602, -1, 1.5]) assert.throws(() => tokenizer.decode([id]), /outside the vocabulary of 602/)
})

test('any tokenizer is restored from its JSON', async () => {
  const all = [await open('t5'), await open('bert'), WordTokenizer.fromCaptions(['a red circle'])]
  for (const tokenizer of all) {
    const copy = tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer)))
    assert.equal(copy.constructor, tokenizer.constructor)
    assert.deepEqual(copy.tokenize(['a red circle'], 16), tokenizer.tokenize(['a red circle'], 16))
  }
})

test('a file that is not a tokenizer throws an error that names it', async t => {
  const folder = await temporaryFolder(t)
  const wrong: Record<string, [string | Uint8Array, RegExp]> = {
    'a.json': ['{"model": {}}', /a\.json: is not a tokenizer\.json: it has no model\.vocab/],
    'b.json': [
      '{"model": {"type": "Magic", "vocab": {}}}',
      /b\.json: model\.type is 'Magic', not 'BPE', 'WordPiece', 'WordLevel' or 'Unigram'/,
    ],
    'c.json': ['{', /c\.json: .*JSON/],
    'd.txt': ['hello', /d\.txt: is neither a tokenizer\.json nor a list of merges/],
    'e.gz': [Uint8Array.of(0x1f, 0x8b, 1), /e\.gz: /],
  }
  for (const [name, [content, message]] of Object.entries(wrong)) {
    await writeFile(join(folder, name), content)
    await assert.rejects(readTokenizer(join(folder, name)), { name: 'TokenizerError', message })
  }
  await assert.rejects(readTokenizer(join(folder, 'none.json')), { name: 'FileError' })
  assert.throws(() => JsonTokenizer.fromJSON(null), /is not a tokenizer\.json/)
})
