// Rows of SigLIP's and SigLIP2's tokenizers against those of OpenCLIP 3.3, which test/golden/tokenizers/siglip.py writes.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { JsonTokenizer } from '../../../src/data/tokenizers/json.ts'
import { OpenClipTokenizer } from '../../../src/data/tokenizers/open-clip.ts'
import { tokenizerFromJSON } from '../../../src/data/tokenizers/parse.ts'
import type { TextCleaning } from '../../../src/data/tokenizers/text/clean.ts'

interface Golden {
  readonly name: string
  readonly file: object
  readonly config: { readonly pad_token: string }
  readonly cases: readonly { readonly clean: TextCleaning; readonly rows: readonly (readonly number[])[] }[]
}

const golden = join(import.meta.dirname, '../../golden/tokenizers')
const read = (file: string) => JSON.parse(gunzipSync(readFileSync(file)).toString())
const { texts, context, tokenizers } = read(process.env.SIGLIP_ROWS ?? join(golden, 'siglip.json.gz')) as {
  readonly texts: readonly string[]
  readonly context: number
  readonly tokenizers: readonly Golden[]
}
const { normalizer } = read(join(golden, 't5.json.gz'))

const opened = ({ name, file, config }: Golden) => {
  const json = JsonTokenizer.fromJSON(name === 't5' ? { ...file, normalizer } : file)
  return { json, pad: json.idOf(config.pad_token)! }
}

for (const each of tokenizers) {
  const { json, pad } = opened(each)
  for (const { clean, rows } of each.cases) {
    const tokenizer = new OpenClipTokenizer(json, { pad, clean })
    test(`${each.name}, ${clean}: rows are those of OpenCLIP`, () => {
      const own = tokenizer.tokenize(texts, context, { truncate: true })
      for (const [i, row] of rows.entries())
        assert.deepEqual([...own.subarray(i * context, (i + 1) * context)], row, JSON.stringify(texts[i]))
    })

    test(`${each.name}, ${clean}: the same rows after toJSON`, () => {
      const copy = tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer)))
      assert.ok(copy instanceof OpenClipTokenizer)
      assert.deepEqual(copy.toJSON(), tokenizer.toJSON())
      const all = { truncate: true }
      assert.deepEqual(copy.tokenize(texts, context, all), tokenizer.tokenize(texts, context, all))
    })
  }
}

describe('a tokenizer of OpenCLIP', () => {
  const { json, pad } = opened(tokenizers[0])
  const t5 = new OpenClipTokenizer(json, { pad, clean: 'canonicalize' })

  test('has the ids of its file only, and no start', () => {
    assert.equal(json.vocabularySize, t5.vocabularySize + 1)
    assert.deepEqual([t5.start, t5.end, t5.pad], [1, 1, 1])
    assert.equal(t5.decode(t5.tokenize(['A photo, of a cat!'], 16)), 'a photo of a cat')
  })

  test('needs a context for the text and its end', () => {
    const { length } = t5.encode('a photo of a cat')
    assert.equal(t5.tokenize(['a photo of a cat'], length + 1).at(-1), t5.end)
    const message = new RegExp(`takes ${length + 1} ids with its end, and the context length is ${length}$`)
    assert.throws(() => t5.tokenize(['a photo of a cat'], length), { name: 'TokenizerError', message })
    assert.deepEqual([...t5.tokenize([''], 1)], [t5.end])
  })

  test('refuses an id that the model does not have only where a text has it', () => {
    const vocabulary = Math.max(...t5.encode('a photo of a cat'))
    const few = new OpenClipTokenizer(json, { pad, clean: 'canonicalize', vocabulary })
    assert.equal(few.vocabularySize, vocabulary)
    assert.throws(() => few.encode('a photo of a cat'), {
      name: 'TokenizerError',
      message: new RegExp(
        `^'a photo of a cat' has the id ${vocabulary} \\('.+'\\), but the model has ${vocabulary} ids`,
      ),
    })
    const others = texts.filter(text => t5.encode(text).every(id => id < vocabulary))
    assert.ok(others.length > 5)
    for (const text of others) assert.deepEqual(few.encode(text), t5.encode(text))
  })

  test('of a file that puts no end, or has too few ids, and a JSON of another kind are refused', () => {
    const file = json.toJSON() as object
    const endless = JsonTokenizer.fromJSON({ ...file, post_processor: null })
    assert.throws(() => new OpenClipTokenizer(endless, { pad }), {
      name: 'TokenizerError',
      message: /puts no token after a text/,
    })
    const { ownIds } = json
    assert.throws(() => new OpenClipTokenizer(json, { pad, vocabulary: ownIds + 1 }), {
      name: 'TokenizerError',
      message: `the tokenizer has ${ownIds} ids, but the model has ${ownIds + 1}`,
    })
    assert.throws(() => new OpenClipTokenizer(json, { pad: ownIds }), /id of its pad is \d+, but the model has/)
    const written = t5.toJSON()
    for (const wrong of [{ clean: 'loudly' }, { pad: -1 }, { more: 1 }, { vocabulary: 1.5 }])
      assert.throws(() => tokenizerFromJSON({ ...written, ...wrong }), { name: 'TokenizerError' })
    assert.throws(() => OpenClipTokenizer.fromJSON({ ...written, type: 'words' }), /type is 'words': it is 'open-clip'/)
  })
})
