import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { cocagrad } from './cli.ts'

const vocabulary = join(import.meta.dirname, '../golden/clip-tokenizer/bpe_simple_vocab_16e6.txt.gz')
const tokenize = (args: readonly string[], input?: string) =>
  cocagrad(['tokenize', '--vocab', vocabulary, ...args], undefined, input)

test('tokenize answers for every text of a list with its ids and its row', async () => {
  const { code, stdout, stderr } = await tokenize(['--json'], '["a photo of a cat", ""]')
  assert.equal(code, 0, stderr)
  const ids = [320, 1125, 539, 320, 2368]
  assert.deepEqual(JSON.parse(stdout), [
    { text: 'a photo of a cat', encode: ids, tokenize_77: [49406, ...ids, 49407] },
    { text: '', encode: [], tokenize_77: [49406, 49407] },
  ])
})

test('texts may be arguments, and rows shorter', async () => {
  const { stdout } = await tokenize(['a photo of a cat', '--context', '4', '--json'])
  assert.deepEqual(JSON.parse(stdout)[0].tokenize_4, [49406, 320, 1125, 49407])
  assert.match((await tokenize(['a cat'])).stdout, /"a cat"\n {2}320 2368/)
})

test('input that is no list of texts is refused in words', async () => {
  for (const [input, reason] of [
    ['a cat', /standard input is not JSON/],
    ['{"a": 1}', /is not a JSON list of texts/],
  ] as const) {
    const { code, stderr } = await tokenize(['--json'], input)
    assert.equal(code, 2)
    assert.match(stderr, reason)
  }
})
