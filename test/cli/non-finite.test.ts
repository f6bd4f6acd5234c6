// Every command rejects a model whose weights or results are not finite, with an error and an exit code other than 0.

import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { readSafetensors, writeSafetensors } from '../../src/io/index.ts'

import { train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures, tinyConfig } from '../train/tiny.ts'
import { cocagrad } from './cli.ts'

let folder = ''
let shapes = ''
let picture = ''
const inFolder = (...parts: string[]) => join(folder, ...parts)

/** A copy of a run or a released model in which a weight has another value. */
async function spoiled(from: string, to: string, file: string, name: string, value: number): Promise<string> {
  await cp(from, inFolder(to), { recursive: true })
  const { tensors } = await readSafetensors(inFolder(to, file))
  ;(tensors.get(name)!.data as Float32Array).fill(value)
  await writeSafetensors(inFolder(to, file), tensors)
  return inFolder(to)
}

const WEIGHTS = 'checkpoints/step-000003/model.safetensors'
const own = new URL('../golden/own', import.meta.url).pathname

before(async t => {
  folder = await temporaryFolder(t as never)
  shapes = await pictures(folder, 8)
  picture = join(shapes, 'images', '000000.png')
  await train(inFolder('run'), tinyConfig(shapes, { steps: 3 }))
  await spoiled(inFolder('run'), 'nan', WEIGHTS, 'encoder.patches.projection.weight', Number.NaN)
  await spoiled(inFolder('run'), 'large', WEIGHTS, 'encoder.patches.projection.weight', 3e38)
  await spoiled(own, 'released', 'weights.safetensors', 'visual.conv1.weight', Number.NEGATIVE_INFINITY)
})

/** Commands that use a model, by what they do. */
const commands: Record<string, (...model: string[]) => string[]> = {
  caption: (...model) => ['caption', picture, ...model],
  'caption with beams': (...model) => ['caption', picture, '--beams', '2', ...model],
  'caption into a file': (...model) => ['caption', shapes, '--out', inFolder('captions.jsonl'), ...model],
  classify: (...model) => ['classify', picture, '--labels', 'circle,star', ...model],
  retrieve: (...model) => ['retrieve', '--images', shapes, '--query', 'a star', ...model],
  embed: (...model) => ['embed', shapes, '--out', inFolder('rows.safetensors'), ...model],
  evaluate: (...model) => ['evaluate', '--data', shapes, ...model],
}

describe('weights that are not finite', () => {
  const refused = async (args: readonly string[], ...parts: readonly string[]) => {
    const { code, stdout, stderr } = await cocagrad(args)
    assert.deepEqual([code, stdout], [2, ''], stderr)
    for (const part of parts) assert.ok(stderr.includes(part), `'${part}' is not in: ${stderr}`)
    assert.doesNotMatch(stderr, /mistake in cocagrad|\n {4}at /)
  }
  const tensor = 'encoder.patches.projection.weight [8, 48] has NaN at 0'

  for (const [name, command] of Object.entries(commands))
    it(`make ${name} fail with an error`, () =>
      refused(
        command('--run', inFolder('nan')),
        `error: ${inFolder('nan', WEIGHTS)}: 1 of 99 tensors`,
        tensor,
        '--step N',
      ))

  it('make train --resume and train --from fail with an error', async () => {
    await refused(['train', '--out', inFolder('nan'), '--resume', '--steps', '4'], inFolder('nan', WEIGHTS), tensor)
    const from = [
      '--from',
      inFolder('nan'),
      '--data',
      shapes,
      '--batch',
      '4',
      '--steps',
      '1',
      '--out',
      inFolder('never'),
    ]
    await refused(['train', ...from], inFolder('nan', WEIGHTS), tensor)
  })

  it('of a released model make export and verify fail with an error', async () => {
    const parts = [inFolder('released', 'weights.safetensors'), 'visual.conv1.weight [24, 3, 4, 4] has -Infinity at 0']
    await refused(['verify', inFolder('released')], ...parts)
    await refused(['export', inFolder('released'), '--out', inFolder('exported')], ...parts)
  })

  it('are found by the doctor', async () => {
    const { code, stdout, stderr } = await cocagrad(['doctor', inFolder('nan')])
    assert.equal(code, 1, stderr)
    assert.match(stdout, /✗ 1\. wrong: the weights hold values that are not finite \(optimizer\)/)
    assert.match(stdout, /encoder\.patches\.projection\.weight has NaN at 0/)
    assert.match(stdout, /gradients {2}none: values are not finite/)
  })
})

describe('results that are not finite', () => {
  for (const [name, command] of Object.entries(commands))
    it(`make ${name} fail with an error that names the picture`, async () => {
      const { code, stdout, stderr } = await cocagrad(command('--run', inFolder('large'), '--json'))
      assert.deepEqual([code, stdout], [1, ''], stderr)
      assert.match(stderr, /^error: .*images\/00000\d\.png.* is (NaN|-?Infinity): the model does not compute finite/m)
      assert.doesNotMatch(stderr, /mistake in cocagrad|\n {4}at /)
    })

  it('are found by the doctor', async () => {
    const { code, stdout, stderr } = await cocagrad(['doctor', inFolder('large')])
    assert.equal(code, 1, stderr)
    assert.match(stdout, /wrong: the model computes values that are not finite \(activity\)/)
    assert.match(stdout, /seen: activation \w+ at encoder\.patches\.projection\.weight has/)
    assert.match(stdout, /gradients {2}none: values are not finite/)
    assert.doesNotMatch(stdout, /no gradient reaches|never fire/)
  })
})
