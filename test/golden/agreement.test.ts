// Every number of a golden folder against what is computed here, and what is said of a folder that is wrong.

import assert from 'node:assert/strict'
import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { readSafetensors, writeSafetensors } from '../../src/io/index.ts'
import { type AgreementCheck, agreement } from '../../src/openclip/index.ts'

import { device } from '../../src/tensor/index.ts'
import { difference } from '../../src/openclip/verify.ts'

import { cocagrad } from '../cli/cli.ts'
import { temporaryFolder } from '../data/folder.ts'
import { fc, runs } from '../support.ts'

const golden = (name: string) => new URL(name, import.meta.url).pathname

async function checksOf(folder: string): Promise<AgreementCheck[]> {
  const checks: AgreementCheck[] = []
  for await (const check of agreement(folder)) checks.push(check)
  return checks
}

for (const name of ['reference', 'cpu'] as const)
  describe(`on ${name}`, async () => {
    // how many checks: 18, a gradient for each of 129, 89 or 68 tensors and for the images, and the last weights of `own`
    const sizes = { 'coca-a': 148, 'coca-m': 148, 'coca-base': 87, own: 197 }
    for (const [folder, count] of Object.entries(sizes))
      test(`a model of ${folder} computes what it computed where it came from`, async () => {
        await device.use(name)
        const checks = await checksOf(golden(folder))
        assert.deepEqual(
          checks.filter(({ ok }) => !ok),
          [],
        )
        assert.equal(checks.length, count)
        assert.equal(new Set(checks.map(each => each.name)).size, count, 'every check has a name of its own')
      })
  })

/** A folder of its own with the files of `own`. */
async function copied(t: TestContext): Promise<string> {
  await device.use('cpu')
  const folder = join(await temporaryFolder(t), 'case')
  await cp(golden('own'), folder, { recursive: true })
  return folder
}

/** Changes one number of a tensor file. */
async function nudge(file: string, name: string, at: number, by: number): Promise<void> {
  const { tensors } = await readSafetensors(file)
  ;(tensors.get(name)!.data as Float32Array)[at] += by
  await writeSafetensors(file, tensors)
}

const failing = async (folder: string) => (await checksOf(folder)).filter(({ ok }) => !ok).map(({ name }) => name)

describe('what differs is found, and nothing else', () => {
  for (const [file, name, check] of [
    ['grads', 'visual.conv1.weight', 'gradient visual.conv1.weight'],
    ['grads', 'images', 'gradient images'],
    ['io', 'image_embs', 'forward image_embs'],
    ['io', 'caption_loss', 'forward caption_loss'],
    ['final', 'text.cls_emb', 'trajectory final text.cls_emb'],
  ] as const)
    test(`one number of ${name} in ${file}.safetensors`, async t => {
      const folder = await copied(t)
      await nudge(join(folder, `${file}.safetensors`), name, 0, 0.01)
      assert.deepEqual(await failing(folder), [check])
    })

  test('a number that is none, wherever it stands', () => {
    const numbers = fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 1, maxLength: 9 })
    fc.assert(
      fc.property(numbers, fc.nat(), (expected, at) => {
        const actual = expected.with(at % expected.length, Number.NaN)
        assert.deepEqual([difference(actual, expected), difference(expected, expected)], [Number.NaN, 0])
      }),
      runs(100),
    )
  })

  test('a model that computes what is no number', async t => {
    const folder = await copied(t)
    await nudge(join(folder, 'weights.safetensors'), 'logit_scale', 0, 1000)
    const names = await failing(folder)
    for (const name of ['forward logit_scale', 'forward contrastive_loss', 'gradient images', 'trajectory total'])
      assert.ok(names.includes(name), `${name} agrees all the same`)
  })

  for (const [file, from, to, check] of [
    ['trajectory.json', '"weight_decay": 0.1', '"weight_decay": 0.2', 'trajectory total'],
    ['trajectory.json', '"eps": 1e-06', '"eps": 1e-02', 'trajectory total'],
    ['config.json', '"quick_gelu": true', '"quick_gelu": false', 'forward logits'],
    ['config.json', '"embed_cls": true', '"embed_cls": true, "correct_cls_mask": true', 'forward text_features'],
    ['config.json', '"heads": 4', '"heads": 2', 'forward logits'],
  ] as const)
    test(`${to} in ${file} instead of ${from}`, async t => {
      const folder = await copied(t)
      const text = await readFile(join(folder, file), 'utf8')
      assert.ok(text.includes(from), `${file} has no ${from}`)
      await writeFile(join(folder, file), text.replace(from, to))
      assert.ok((await failing(folder)).includes(check), `${check} agrees all the same`)
    })

  test('a caption of another word', async t => {
    const folder = await copied(t)
    const file = join(folder, 'generation.json')
    const generation = JSON.parse(await readFile(file, 'utf8'))
    generation.greedy.ids[0][1] = (generation.greedy.ids[0][1] + 1) % 8
    generation.beam.results[1].reverse()
    await writeFile(file, JSON.stringify(generation))
    assert.deepEqual(await failing(folder), [
      'generation greedy',
      'generation beams of 3',
      'generation beams, log-probability',
    ])
  })
})

describe('a folder that is wrong is refused, by the file', () => {
  const cases: [string, (folder: string) => Promise<unknown>, RegExp][] = [
    ['without gradients', folder => rm(join(folder, 'grads.safetensors')), /has no grads\.safetensors/],
    ['without weights', folder => rm(join(folder, 'weights.safetensors')), /has none of open_clip_model\.safetensors/],
    ['with half of its inputs', folder => truncate(join(folder, 'io.safetensors'), 4000), /io\.safetensors/],
    ['with half of its last weights', folder => truncate(join(folder, 'final.safetensors'), 9000), /final\.safetensors/],
    ['with half of a trajectory', folder => truncate(join(folder, 'trajectory.json'), 300), /trajectory\.json: is not JSON/],
    [
      'of another optimizer',
      async folder => {
        const file = join(folder, 'trajectory.json')
        await writeFile(file, (await readFile(file, 'utf8')).replace('AdamW', 'Lion'))
      },
      /trajectory\.json: optimizer\.name/,
    ],
    [
      'with a weight that is no number',
      folder => nudge(join(folder, 'weights.safetensors'), 'text_decoder.ln_final.bias', 1, Number.NaN),
      /weights\.safetensors: 1 of 89 tensors has values that are not finite: text_decoder\.ln_final\.bias \[24\] has NaN at 1/,
    ],
    [
      'with a gradient that is no number',
      folder => nudge(join(folder, 'grads.safetensors'), 'logit_scale', 0, Number.NaN),
      /grads\.safetensors: tensor 'logit_scale' has NaN at 0: only finite values can be compared/,
    ],
    [
      'with a strange setting',
      async folder => {
        const file = join(folder, 'config.json')
        await writeFile(file, (await readFile(file, 'utf8')).replace('"layers"', '"depth"'))
      },
      /config\.json: vision_cfg\.depth = 1: is not a known setting/,
    ],
    [
      'with a word outside of the vocabulary',
      async folder => {
        const file = join(folder, 'io.safetensors')
        const { tensors } = await readSafetensors(file)
        ;(tensors.get('text')!.data as BigInt64Array)[3] = 8n
        await writeSafetensors(file, tensors)
      },
      /io\.safetensors: tensor 'text' has id 8, but the model has 8 ids/,
    ],
    [
      'with gradients of another shape',
      async folder => {
        const file = join(folder, 'grads.safetensors')
        const { tensors } = await readSafetensors(file)
        const bias = tensors.get('visual.ln_pre.bias')!
        tensors.set('visual.ln_pre.bias', { ...bias, shape: [2, bias.data.length / 2] })
        await writeSafetensors(file, tensors)
      },
      /grads\.safetensors: tensor 'visual\.ln_pre\.bias' is \[2, 12\], not \[24\]/,
    ],
  ]
  for (const [what, damage, message] of cases)
    test(what, async t => {
      const folder = await copied(t)
      await damage(folder)
      await assert.rejects(checksOf(folder), message)
    })
})

describe('the command', () => {
  test('prints what it checked, as text and as JSON, and ends well', async () => {
    const text = await cocagrad(['verify', golden('own')])
    assert.equal(text.code, 0, text.stderr)
    assert.match(text.stdout, /all 197 agree/)
    const json = await cocagrad(['verify', golden('own'), '--json'])
    const { ok, checks } = JSON.parse(json.stdout)
    assert.deepEqual([ok, checks.length], [true, 197])
    assert.deepEqual(Object.keys(checks[0]), ['name', 'error', 'tolerance', 'ok'])
  })

  test('ends with 1 where something differs, and with 2 where the folder is wrong', async t => {
    const folder = await copied(t)
    await nudge(join(folder, 'grads.safetensors'), 'logit_scale', 0, 0.1)
    const wrong = await cocagrad(['verify', folder, '--json'])
    assert.equal(wrong.code, 1, wrong.stderr)
    assert.equal(JSON.parse(wrong.stdout).ok, false)
    await rm(join(folder, 'io.safetensors'))
    const missing = await cocagrad(['verify', folder])
    assert.equal(missing.code, 2, missing.stderr)
    assert.match(missing.stderr, /^error: .*case: has no io\.safetensors$/m)
  })
})
