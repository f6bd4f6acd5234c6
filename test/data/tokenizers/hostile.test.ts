import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { JsonTokenizer } from '../../../src/data/tokenizers/json.ts'
import { readTokenizer } from '../../../src/data/tokenizers/read.ts'
import { temporaryFolder } from '../folder.ts'

/** Whole words, and whatever a test adds. */
const file = (more: object = {}, model: object = {}) => ({
  version: '1.0',
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: 'WhitespaceSplit' },
  post_processor: null,
  decoder: null,
  model: { type: 'WordLevel', vocab: { '[UNK]': 0, a: 1, b: 2 }, unk_token: '[UNK]', ...model },
  ...more,
})
const open = (more?: object, model?: object) => JsonTokenizer.fromJSON(file(more, model))
const refuses = (message: RegExp, more?: object, model?: object) =>
  assert.throws(() => open(more, model), { name: 'TokenizerError', message })
const replace = (pattern: string) => ({ normalizer: { type: 'Replace', pattern: { Regex: pattern }, content: 'b' } })

test('ids that no row of an embedding can have are refused, and name the token', () => {
  for (const id of [1.5, null, -1, '1', 2 ** 40])
    refuses(/^model\.vocab\['a'\] is .*, not an integer/, {}, { vocab: { '[UNK]': 0, a: id } })
  refuses(/'a' is 1000000000, and there are 2 tokens/, {}, { vocab: { '[UNK]': 0, a: 1e9 } })
  const added = (id: unknown) => ({ added_tokens: [{ id, content: 'c', single_word: false, special: true }] })
  for (const id of [1.5, null, -1, '1']) refuses(/^added_tokens\[0\]\.id is .*, not an integer/, added(id))
  refuses(/'c' is 1000000000/, added(1e9))
})

test('a pattern that would take exponential time stops with an error, or needs few steps', () => {
  const tokenizer = open(replace('(a+)+$'))
  assert.deepEqual(tokenizer.encode('aaaa'), [2])
  // work, and not time: the machine may be busy
  const began = process.cpuUsage()
  assert.throws(() => tokenizer.encode(`${'a'.repeat(40)}!`), { name: 'TokenizerError', message: /steps/ })
  assert.throws(() => open(replace('(a|a)*$')).encode(`${'a'.repeat(2_000)}!`), { name: 'TokenizerError' })
  assert.ok(process.cpuUsage(began).user < 20e6, 'the number of steps is bounded')
})

test('a pattern that is not one, or too large, names its field', () => {
  for (const pattern of ['(', '[a', '*', 'a{9999}', '(?<n>a)', '(a{900}){900}', '('.repeat(60) + ')'.repeat(60)])
    refuses(/^normalizer\.pattern/, replace(pattern))
})

test('a post-processor that is malformed names its field', () => {
  const template = (single: unknown, special_tokens: unknown = {}) => ({
    post_processor: { type: 'TemplateProcessing', single, pair: [], special_tokens },
  })
  const [text, start] = [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '[CLS]', type_id: 0 } }]
  refuses(/^post_processor\.type is 'Magic'/, { post_processor: { type: 'Magic' } })
  refuses(/^post_processor\.single is 5, not a list/, template(5))
  refuses(/^post_processor\.single\[0\] is null, not an object/, template([null]))
  refuses(/^post_processor\.single\[0\]\.SpecialToken\.id: special_tokens has no token/, template([start, text]))
  refuses(/^post_processor\.special_tokens is null/, template([start, text], null))
  refuses(/ids\[0\] is 9, not an id of the vocabulary/, template([start, text], { '[CLS]': { ids: [9] } }))
  refuses(/ids is missing, not a list/, template([start, text], { '[CLS]': {} }))
  refuses(/^post_processor\.cls/, { post_processor: { type: 'BertProcessing', sep: ['[UNK]', 0] } })
  for (const name of ['__proto__', 'constructor', 'toString'])
    refuses(/has no token of this name/, template([{ SpecialToken: { id: name } }, text]))
})

test('every part that is missing or has another type is refused by name', () => {
  const parts = ['normalizer', 'pre_tokenizer', 'decoder', 'post_processor'] as const
  for (const part of parts)
    for (const value of [5, 'text', [], {}, { type: 5 }, { type: '__proto__' }, { type: 'Sequence' }])
      refuses(new RegExp(`^${part}`), { [part]: value })
  for (const value of [5, 'text', [null], [{}], [{ content: 5, id: 1 }]])
    refuses(/^added_tokens/, { added_tokens: value })
  for (const value of [5, 'text', [], true]) refuses(/model\.vocab/, {}, { vocab: value })
  refuses(/^version is '2\.0'/, { version: '2.0' })
})

test('lists and objects nested deeply are refused before a function follows them', async t => {
  const path = join(await temporaryFolder(t), 'tokenizer.json')
  await writeFile(
    path,
    JSON.stringify(file()).replace('"normalizer":null', `"normalizer":${'['.repeat(20_000)}${']'.repeat(20_000)}`),
  )
  await assert.rejects(readTokenizer(path), { name: 'TokenizerError', file: path, message: /deep/ })
  let nested: object = { type: 'NFC' }
  for (let i = 0; i < 5_000; i++) nested = { type: 'Sequence', normalizers: [nested] }
  refuses(/nested more than 64 levels deep/, { normalizer: nested })
})

test('a vocabulary of 250,000 pieces is read, and a text of 100,000 letters without spaces encoded', () => {
  const vocab = [['<unk>', 0], ['a', -1], ...Array.from({ length: 250_000 }, (_, i) => [`w${i}`, -2])]
  const tokenizer = JsonTokenizer.fromJSON({ ...file(), model: { type: 'Unigram', unk_id: 0, vocab } })
  assert.equal(tokenizer.encode('w249999').at(0), 250_001)
  assert.equal(tokenizer.encode('a'.repeat(100_000)).length, 100_000)
})
