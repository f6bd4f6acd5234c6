// A folder of OpenCLIP whose tokenizer is one of Hugging Face, as SigLIP's are: raw text in, and the same rows after every way that
// such a model goes: saved, opened, trained, exported.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { JsonTokenizer, OpenClipTokenizer } from '../../src/data/index.ts'
import { createModel, type DualEncoderConfig } from '../../src/models/index.ts'
import { openClip, saveOpenClip } from '../../src/openclip/index.ts'
import { device, fromData } from '../../src/tensor/index.ts'
import { checkRunConfig, openModel, openRun, train } from '../../src/train/index.ts'
import { withOrigin } from '../../src/train/open-model.ts'
import { cocagrad } from '../cli/cli.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures } from '../train/tiny.ts'

await device.use('cpu')
const golden = join(import.meta.dirname, '../golden/tokenizers')
const read = (name: string) => JSON.parse(gunzipSync(readFileSync(join(golden, name))).toString())
const { texts, context, tokenizers } = read('siglip.json.gz')
const [{ file, config, cases }] = tokenizers
const json = JsonTokenizer.fromJSON({ ...file, normalizer: read('t5.json.gz').normalizer })
const { rows } = cases.find(({ clean }: { clean: string }) => clean === 'canonicalize')

/** A SigLIP with OpenCLIP's own image tower, which may be small. */
const model: DualEncoderConfig = {
  image: {
    ...{ size: 16, patch: 8, width: 16, layers: 1, heads: 2, hidden: 32 },
    ...{ classToken: true, inputNorm: true, outputNorm: true, patchBias: false },
  },
  text: {
    ...{ vocabulary: json.ownIds, context, width: 16, heads: 2, hidden: 32, unimodalLayers: 1, multimodalLayers: 0 },
    ...{ pad: 0, padIsWord: true, padMask: 'none', summary: 'last', causal: false },
  },
  summary: 'class',
  contrast: 'sigmoid',
  embedding: 8,
}

async function folderOf(t: TestContext): Promise<string> {
  const folder = join(await temporaryFolder(t), 'siglip')
  const tokenizer = new OpenClipTokenizer(json, { pad: 1, clean: 'canonicalize', name: 'timm/ViT-B-16-SigLIP' })
  await saveOpenClip(folder, { model: createModel('dual-encoder', model), tokenizer })
  return folder
}

const open = (folder: string) => openModel(folder, { family: 'dual-encoder' })
const rowsOf = ({ tokenizer }: Awaited<ReturnType<typeof open>>) => {
  const all = tokenizer.tokenize(texts, context, { truncate: true })
  return texts.map((_: string, i: number) => [...all.subarray(i * context, (i + 1) * context)])
}

/** Changes one of the folder's JSON files. */
async function edit(folder: string, name: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const value = JSON.parse(await readFile(join(folder, name), 'utf8'))
  change(value)
  await writeFile(join(folder, name), JSON.stringify(value))
}
const editText = (folder: string, settings: object) =>
  edit(folder, 'open_clip_config.json', ({ model_cfg }) => {
    Object.assign((model_cfg as { text_cfg: object }).text_cfg, settings)
  })

describe('a folder with a tokenizer of Hugging Face', () => {
  test('has the tokenizer of OpenCLIP and its settings, and opens with its rows', async t => {
    const folder = await folderOf(t)
    const { model_cfg } = JSON.parse(await readFile(join(folder, 'open_clip_config.json'), 'utf8'))
    assert.equal(model_cfg.text_cfg.hf_tokenizer_name, 'timm/ViT-B-16-SigLIP')
    assert.deepEqual(model_cfg.text_cfg.tokenizer_kwargs, { clean: 'canonicalize' })
    const { pad_token, eos_token } = JSON.parse(await readFile(join(folder, 'tokenizer_config.json'), 'utf8'))
    assert.deepEqual([pad_token, eos_token], [config.pad_token, config.eos_token])
    const opened = await open(folder)
    assert.deepEqual(rowsOf(opened), rows)
    // as in released folders
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config))
    assert.deepEqual(rowsOf(await open(folder)), rows)
    await edit(folder, 'tokenizer_config.json', all => {
      all.pad_token = { content: config.pad_token, special: true }
    })
    assert.deepEqual(rowsOf(await open(folder)), rows)
    await rename(join(folder, 'tokenizer_config.json'), join(folder, 'special_tokens_map.json'))
    assert.deepEqual(rowsOf(await open(folder)), rows)
  })

  test('of a configuration without its name gives the rows of a SigLIP, if the last position is read', async t => {
    const folder = await folderOf(t)
    await editText(folder, { hf_tokenizer_name: undefined, tokenizer_kwargs: undefined })
    assert.deepEqual(rowsOf(await open(folder)), rows)
  })

  test('of a configuration without a cleaning keeps the case, as in OpenCLIP', async t => {
    const folder = await folderOf(t)
    await editText(folder, { tokenizer_kwargs: null })
    const { rows } = cases.find(({ clean }: { clean: string }) => clean === 'whitespace')
    assert.deepEqual(rowsOf(await open(folder)), rows)
  })

  test('whose rows would be others is refused with the file and the setting', async t => {
    const folder = await folderOf(t)
    const refuses = (message: RegExp) => assert.rejects(open(folder), { name: 'TokenizerError', message })
    const tokenizer_kwargs = { clean: 'canonicalize' }
    const wrong: readonly [object, RegExp][] = [
      [{ tokenizer_kwargs: { strip_sep_token: true } }, /tokenizer_kwargs\.strip_sep_token = true/],
      [{ tokenizer_kwargs: { clean: 'thoroughly' } }, /tokenizer_kwargs\.clean = "thoroughly": must be one of/],
      [{ tokenizer_kwargs: { language: 'de' } }, /tokenizer_kwargs\.language = "de": is not a known setting/],
      [{ tokenizer_kwargs, tokenizer_mode: 'clips' }, /text_cfg\.tokenizer_mode = "clips"/],
      [{ tokenizer_mode: null, hf_tokenizer_name: 7 }, /text_cfg\.hf_tokenizer_name = 7: must be a string/],
    ]
    for (const [settings, message] of wrong) {
      await editText(folder, settings)
      await refuses(new RegExp(`siglip/tokenizer\\.json: .*${message.source}`))
    }
    // a model without its texts is not concerned
    assert.ok(await openClip(folder, { family: 'dual-encoder' }))
    await editText(folder, { hf_tokenizer_name: 'a', tokenizer_mode: null, tokenizer_kwargs })
    await edit(folder, 'tokenizer_config.json', all => {
      all.padding_side = 'left'
    })
    await refuses(/tokenizer_config\.json: padding_side is 'left', not 'right'/)
    await writeFile(join(folder, 'tokenizer_config.json'), '{"pad_token": "<nothing>"}')
    await refuses(/tokenizer_config\.json: pad_token is '<nothing>', which is not a token of tokenizer\.json/)
    await rm(join(folder, 'tokenizer_config.json'))
    await refuses(/tokenizer\.json: the token that fills its rows is not known: put the tokenizer_config\.json/)
  })

  test('may have more ids than the model, and not fewer', async t => {
    const folder = await folderOf(t)
    await edit(folder, 'tokenizer.json', all => {
      const added = { content: '<more>', single_word: false, lstrip: false, rstrip: false, normalized: false }
      ;(all.added_tokens as object[]).push({ id: json.ownIds, special: true, ...added })
    })
    assert.deepEqual(rowsOf(await open(folder)), rows)
    await editText(folder, { tokenizer_kwargs: { clean: 'whitespace' } })
    const { tokenizer } = await open(folder)
    assert.throws(() => tokenizer.encode('a <more>'), /has the id \d+ \('<more>'\), but the model has \d+ ids/)
    await edit(folder, 'tokenizer.json', all => {
      all.added_tokens = (all.added_tokens as object[]).slice(0, -1)
      ;(all.model as { vocab: unknown[] }).vocab.pop()
    })
    await assert.rejects(open(folder), /tokenizer\.json: the tokenizer has \d+ ids, but the model has/)
  })

  test('is copied by export, and a run that begins from it keeps its rows and is exported with them', async t => {
    const folder = await folderOf(t)
    const files = ['open_clip_config.json', 'open_clip_model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
    const copied = await exported(folder, `${folder}-copy`)
    assert.deepEqual(copied.files, files)
    assert.deepEqual(rowsOf(await open(`${folder}-copy`)), rows)
    const run = `${folder}-run`
    const data = await pictures(await temporaryFolder(t), 8)
    const short = { steps: 1, batchSize: 3, validation: 0.25, guard: { every: 0 }, truncateCaptions: true }
    await train(run, checkRunConfig(await withOrigin({ from: folder, data, family: 'dual-encoder', ...short })))
    const trained = await openRun(run, { family: 'dual-encoder' })
    assert.ok(trained.tokenizer instanceof OpenClipTokenizer)
    assert.deepEqual(rowsOf(trained as never), rows)
    assert.deepEqual((await exported(run, `${folder}-again`)).files, files)
    const again = await open(`${folder}-again`)
    assert.deepEqual(rowsOf(again), rows)
    const ids = fromData(Int32Array.from(rows.flat()), [texts.length, context])
    assert.deepEqual(again.model.encodeText(ids).dataSync(), trained.model.encodeText(ids).dataSync())
  })

  test('classifies pictures by labels in raw text', async t => {
    const folder = await folderOf(t)
    const data = await pictures(await temporaryFolder(t), 1)
    const flags = ['--model', folder, '--labels', 'dog,Dog!,cat', '--template', 'A {}.', '--json']
    const { code, stdout, stderr } = await cocagrad(['classify', join(data, 'images'), ...flags])
    assert.equal(code, 0, stderr)
    const scores: { label: string; cosine: number }[] = JSON.parse(stdout)[0].scores
    const [dog, same, cat] = ['dog', 'Dog!', 'cat'].map(name => scores.find(({ label }) => label === name)!.cosine)
    assert.equal(dog, same)
    assert.notEqual(dog, cat)
  })

  test('shows its rows with tokenize', async t => {
    const folder = await folderOf(t)
    const { code, stdout, stderr } = await cocagrad(['tokenize', 'A Cat!', '', '--vocab', folder, '--json'])
    assert.equal(code, 0, stderr)
    const ids = json.encode('a cat')
    assert.deepEqual(JSON.parse(stdout), [
      { text: 'A Cat!', encode: ids, [`tokenize_${context}`]: [...ids, 1] },
      { text: '', encode: [], [`tokenize_${context}`]: [1] },
    ])
  })
})

async function exported(from: string, out: string): Promise<{ files: string[] }> {
  const { code, stdout, stderr } = await cocagrad(['export', from, '--out', out, '--json'])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}
