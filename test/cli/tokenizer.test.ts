import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../data/folder.ts'
import { cocagrad } from './cli.ts'

const vocabulary = join(import.meta.dirname, '../golden/clip-tokenizer/bpe_simple_vocab_16e6.txt.gz')
const tokenize = (args: readonly string[], input?: string) =>
  cocagrad(['tokenize', '--vocab', vocabulary, ...args], undefined, { input })

test('tokenize prints the ids and the row of every text of a list', async () => {
  const { code, stdout, stderr } = await tokenize(['--json'], '["a photo of a cat", ""]')
  assert.equal(code, 0, stderr)
  const ids = [320, 1125, 539, 320, 2368]
  assert.deepEqual(JSON.parse(stdout), [
    { text: 'a photo of a cat', encode: ids, tokenize_77: [49406, ...ids, 49407] },
    { text: '', encode: [], tokenize_77: [49406, 49407] },
  ])
})

test('texts may be arguments, and rows may be shorter', async () => {
  const { stdout } = await tokenize(['a photo of a cat', '--context', '4', '--json'])
  assert.deepEqual(JSON.parse(stdout)[0].tokenize_4, [49406, 320, 1125, 49407])
  assert.match((await tokenize(['a cat'])).stdout, /"a cat"\n {2}320 2368/)
})

test('input that is not a list of texts is a mistake', async () => {
  for (const [input, reason] of [
    ['a cat', /standard input is not JSON/],
    [`${'['.repeat(5000)}${']'.repeat(5000)}`, /standard input nests objects and lists deeper than 100/],
    ['{"a": 1}', /is not a JSON list of texts/],
  ] as const) {
    const { code, stderr } = await tokenize(['--json'], input)
    assert.equal(code, 2)
    assert.match(stderr, reason)
  }
})

test('tokenizer train learns from captions and writes a file that tokenize reads', async t => {
  const folder = await temporaryFolder(t)
  const [captions, file] = [join(folder, 'captions.csv'), join(folder, 'tokenizer.json')]
  await writeFile(join(folder, 'a.png'), '')
  await writeFile(captions, 'file,caption\na.png,a red circle\na.png,a red square\n')
  const args = ['--data', captions, '--out', file, '--vocabulary', '270', '--json']
  const { code, stdout, stderr } = await cocagrad(['tokenizer', 'train', ...args])
  assert.equal(code, 0, stderr)
  const { vocabulary, captions: count, ids } = JSON.parse(stdout)
  assert.deepEqual([vocabulary, count], [262, 2])
  const rows = JSON.parse(
    (await cocagrad(['tokenize', 'a red circle', 'a red square', '--vocab', file, '--json'])).stdout,
  )
  assert.equal(rows[0].encode.length + rows[1].encode.length, ids)
})
