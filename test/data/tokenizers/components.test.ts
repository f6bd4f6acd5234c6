// Every component of a tokenizer.json against the ids of Hugging Face's own library. test/golden/tokenizers/components.py
// writes them.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { JsonTokenizer } from '../../../src/data/tokenizers/json.ts'

interface Case {
  readonly name: string
  readonly file: object
  readonly ids?: readonly (readonly number[] | null)[]
  readonly rows?: readonly (readonly number[])[]
  readonly decodes?: readonly (readonly number[])[]
  readonly decoded?: readonly (string | null)[]
}

const file = join(import.meta.dirname, '../../golden/tokenizers/components.json.gz')
const { texts, cases } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as { texts: string[]; cases: Case[] }

/** What is refused instead of giving other ids. */
const REFUSED: readonly (readonly [RegExp, RegExp])[] = [
  [
    /equal after the normalizer/,
    /added_tokens: 'cat' and 'CAT' are both 'cat' after the normalizer: set normalized to false/,
  ],
  [/Split named/, /pre_tokenizer\.pattern\.Regex: .* groups of the form '\(\?<n' are not supported/],
  [
    /^normalizer (?:NFKC|Precompiled|Bert), WhitespaceSplit, Metaspace first/,
    /pre_tokenizer: Metaspace .* is not supported/,
  ],
]

const encodeOrNull = (tokenizer: JsonTokenizer, text: string): number[] | null => {
  try {
    return tokenizer.encode(text)
  } catch (error) {
    assert.equal((error as Error).name, 'TokenizerError')
    return null
  }
}

for (const kind of new Set(cases.map(({ name }) => name.split(' ')[0])))
  test(`${kind}: ids and decoded texts equal those of the Python library, or the file is refused by name`, () => {
    for (const { name, file, ids = [], rows, decodes = ids, decoded = [] } of cases.filter(
      each => each.name.startsWith(`${kind} `) || each.name === kind,
    )) {
      const refused = REFUSED.find(([names]) => names.test(name))
      if (refused) {
        assert.throws(() => JsonTokenizer.fromJSON(file), { name: 'TokenizerError', message: refused[1] }, name)
        continue
      }
      const tokenizer = JsonTokenizer.fromJSON(file)
      const { start, end, pad } = tokenizer
      for (const [i, expected] of ids.entries()) {
        const own = encodeOrNull(tokenizer, texts[i])
        assert.deepEqual(own, expected, `${name}: ${JSON.stringify(texts[i])}`)
        const row = rows?.[i]
        if (!row || !own) continue
        const extra = row.length - own.length
        const isAtStart = extra > 0 && row[0] === start
        const isAtEnd = extra > (isAtStart ? 1 : 0) && row[row.length - 1] === end
        assert.deepEqual([...(isAtStart ? [start] : []), ...own, ...(isAtEnd ? [end] : [])], row, name)
      }
      for (const [i, text] of decoded.entries()) {
        const tokens = decodes[i]
        if (text === null || tokens === null || tokens.some(id => id === start || id === end || id === pad)) continue
        assert.equal(tokenizer.decode(tokens), text, `${name}: ${tokens}`)
      }
    }
  })
