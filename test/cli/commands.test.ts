// A run from pictures to captions, through the command line only.

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { encodePng } from '../../src/data/index.ts'
import { encodeSafetensors } from '../../src/io/index.ts'
import { answerOf, cocagrad, type Outcome } from './cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'cocagrad-cli-'))
const inFolder = (...parts: string[]) => join(folder, ...parts)
const [shapes, run, config] = [inFolder('shapes'), inFolder('run'), inFolder('config.json')]
const picture = join(shapes, 'images', '000000.png')

const model = {
  preset: 'tiny',
  image: { size: 16, width: 16, layers: 1, heads: 2 },
  text: { width: 16, heads: 2 },
  pooler: { queries: 2, heads: 2 },
  embedding: 8,
}

function assertMistake({ code, stdout, stderr }: Outcome, ...words: readonly string[]): void {
  assert.equal(code, 2, stderr)
  assert.equal(stdout, '')
  assert.match(stderr, /^error: /m)
  assert.doesNotMatch(stderr, /\n {4}at /, 'a stack is nothing for people')
  for (const word of words) assert.ok(stderr.includes(word), `"${word}" is not in: ${stderr}`)
}

before(async () => {
  writeFileSync(config, JSON.stringify({ model, batchSize: 4, validation: 0.25, device: 'reference' }))
  const made = await answerOf('data', 'shapes', '--out', shapes, '--count', '16', '--objects', '1', '--seed', '3')
  assert.equal(made.pictures, 16)
  const trained = await answerOf('train', '--config', config, '--data', shapes, '--out', run, '--steps', '2')
  assert.deepEqual({ step: trained.step, finished: trained.finished }, { step: 2, finished: true })
})

after(() => rmSync(folder, { recursive: true, force: true }))

describe('a run from pictures to results', () => {
  it('continues from its last step, with its own settings', async () => {
    const { code, stdout, stderr } = await cocagrad(['train', '--out', run, '--resume', '--steps', '3', '--lr', '9'])
    assert.equal(code, 0, stderr)
    assert.match(stderr, /continuing after step 2/)
    assert.match(stderr, /ignored: --lr$/m)
    assert.match(stdout, /trained for 3 steps/)
    const metrics = readFileSync(join(run, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.deepEqual(
      metrics.flatMap(line => (line.kind === 'step' ? [line.step] : [])),
      [1, 2, 3],
    )
  })

  it('is evaluated', async () => {
    const result = await answerOf('evaluate', '--run', run, '--data', shapes, '--labels', 'circle,square,star,ring')
    assert.equal(result.images, 16)
    for (const share of [result.retrieval.imageToText.recall[1], result.captioning.exact, result.zeroShot.accuracy])
      assert.ok(share >= 0 && share <= 1)
    const { bleu4, ciderD } = result.captioning
    assert.ok(bleu4 >= 0 && bleu4 <= 1 && ciderD >= 0 && ciderD <= 10)
    assert.equal(result.zeroShot.perClass.length, 4)
  })

  it('captions pictures, with equal samples from equal seeds', async () => {
    const [one] = await answerOf('caption', picture, '--run', run, '--beams', '2')
    assert.equal(one.image, picture)
    assert.equal(one.alternatives.length, 1)
    const sampled = ['caption', picture, '--run', run, '--sample', '--top-k', '5', '--seed', '7']
    assert.deepEqual(await answerOf(...sampled), await answerOf(...sampled))
  })

  it('reads pictures of one pixel, one row, one column, 16 bits of grey, a palette and four colours in every command', async () => {
    const odd = inFolder('odd')
    const golden = join(import.meta.dirname, '../golden/pixels')
    const files = ['one.png', 'tall.png', 'wide.png', ...['grey16.png', 'palette.png', 'rgba.png', 'cmyk.jpg']]
    mkdirSync(odd)
    for (const [name, width, height] of [
      ['one.png', 1, 1],
      ['tall.png', 1, 4000],
      ['wide.png', 4000, 1],
    ] as const)
      writeFileSync(join(odd, name), encodePng(new Uint8Array(width * height * 3).fill(90), width, height))
    for (const name of files.slice(3)) cpSync(join(golden, name), join(odd, name))
    const lines = files.map(file => JSON.stringify({ file, caption: 'a red circle', label: 'circle' }))
    writeFileSync(join(odd, 'captions.jsonl'), lines.join('\n'))
    const out = inFolder('odd.safetensors')
    const [captions, classes, embedded, evaluated, trained] = await Promise.all([
      answerOf('caption', ...files.map(name => join(odd, name)), '--run', run),
      answerOf('classify', odd, '--run', run, '--labels', 'circle,square'),
      answerOf('embed', odd, '--run', run, '--out', out),
      answerOf('evaluate', '--run', run, '--data', odd, '--labels', 'circle,square', '--no-record'),
      answerOf('train', '--config', config, '--data', odd, '--out', inFolder('odd-run'), '--steps', '1'),
    ])
    assert.deepEqual(
      [captions.length, classes.length, embedded.images, evaluated.images, trained.step],
      [7, 7, 7, 7, 1],
    )
    const found = await answerOf('retrieve', '--query', 'a red circle', '--run', run, '--images', odd, '--top', '7')
    for (const file of files) assert.match(JSON.stringify(found), new RegExp(`odd/${file}"`))
  })

  it('captions pictures with every option of generation', async () => {
    const flags = [
      '--beams',
      '4',
      '--groups',
      '2',
      '--diversity',
      '0.2',
      '--length-penalty',
      '1',
      '--repetition-penalty',
    ]
    const lengths = ['1.5', '--min-length', '5', '--maximum-length', '6', '--prompt', 'a red']
    const [{ caption, alternatives }] = await answerOf('caption', picture, '--run', run, ...flags, ...lengths)
    for (const each of [caption, ...alternatives.map((other: { caption: string }) => other.caption)])
      assert.match(each, /^a red \S+/)
    assert.ok(caption.split(' ').length <= 5)
    assert.ok(alternatives.length >= 1 && alternatives.length <= 3) // two groups may find the same caption
  })

  it('classifies pictures by labels', async () => {
    const [{ label, scores }] = await answerOf('classify', picture, '--labels', 'star,ring', '--run', run)
    assert.equal(label, scores[0].label)
    assert.ok(Math.abs(scores[0].probability + scores[1].probability - 1) < 1e-9)
  })

  it('classifies every picture of a folder, by files of labels and templates', async () => {
    writeFileSync(inFolder('labels.txt'), 'star\nring\n')
    writeFileSync(inFolder('templates.txt'), 'a {}\na red {}\n')
    const prompts = ['--labels', inFolder('labels.txt'), '--template', inFolder('templates.txt')]
    const found = await answerOf('classify', join(shapes, 'images'), picture, ...prompts, '--run', run)
    assert.equal(found.length, 17)
    assert.deepEqual(found[0], found[16])
    assert.equal(found[0].image, picture)
  })

  it('finds a picture by itself', async () => {
    const { found } = await answerOf('retrieve', '--images', shapes, '--image', picture, '--top', '2', '--run', run)
    assert.equal(found.length, 2)
    assert.ok(found[0].cosine > 0.9999)
  })

  it('is examined by the doctor and has no serious findings', async () => {
    const { ok, step, findings, looked } = await answerOf('doctor', run)
    assert.deepEqual([ok, step], [true, 3])
    assert.deepEqual(
      findings.filter((finding: { severity: string }) => finding.severity !== 'note'),
      [],
    )
    assert.match(looked.gradients, /parts of the model against finite differences/)
    const { code, stdout } = await cocagrad(['doctor', run])
    assert.equal(code, 0)
    assert.match(stdout, /at step 3: nothing is wrong/)
  })

  it('stops at a gradient beyond the bound and saves its batch, which the doctor examines', async () => {
    const [settings, out] = [inFolder('strict.json'), inFolder('strict')]
    // no gradient in float32 is as right as that
    const guard = { every: 1, bound: 1e-12 }
    writeFileSync(settings, JSON.stringify({ model, batchSize: 4, validation: 0, device: 'reference', guard }))
    const args = ['train', '--config', settings, '--data', shapes, '--out', out, '--steps', '2']
    const stopped = await cocagrad(args)
    assert.equal(stopped.code, 1, stopped.stderr)
    assert.match(stopped.stderr, /error: step 1: the gradient is wrong/)
    const kept = join(out, 'guard', 'step-000001.safetensors')
    assert.ok(stopped.stderr.includes(`cocagrad doctor ${out} --batch ${kept}`), stopped.stderr)
    assert.doesNotMatch(stopped.stderr, /mistake in cocagrad/)
    const { code, stdout } = await cocagrad(['doctor', out, '--batch', kept])
    assert.equal(code, 0)
    assert.match(
      stdout,
      /· the gradient of \S+ is lost in the rounding of float32 \(gradients\)\n {4}seen: .*\n[\s\S]*\n {4}try: {2}the device and the rules are right/,
    )
  })

  it('continues with a wrong gradient if guard.onError is warn, and warns each time', async () => {
    const [settings, out] = [inFolder('lenient.json'), inFolder('lenient')]
    const guard = { every: 1, bound: 1e-12, share: 100, onError: 'warn' }
    writeFileSync(settings, JSON.stringify({ model, batchSize: 4, validation: 0, device: 'reference', guard }))
    const { code, stderr } = await cocagrad([
      'train',
      '--config',
      settings,
      '--data',
      shapes,
      '--out',
      out,
      '--steps',
      '2',
    ])
    assert.equal(code, 0, stderr)
    assert.equal([...stderr.matchAll(/^WARNING: step \d: the gradient is wrong/gm)].length, 2)
    const doctor = await cocagrad(['doctor', out])
    assert.equal(doctor.code, 1)
    assert.match(doctor.stdout, /the guard found a wrong gradient in 2 of 2 checks/)
  })

  it('stops cleanly at Ctrl-C, and prints how to continue', async () => {
    const out = inFolder('interrupted')
    const args = [
      'train',
      '--config',
      config,
      '--data',
      shapes,
      '--out',
      out,
      '--steps',
      '100000',
      '--checkpoint-every',
      '100000',
    ]
    let isStopped = false
    const { code, stderr } = await cocagrad(args, (stderr, child) => {
      if (!isStopped && /step \d+\/100000/.test(stderr)) isStopped = child.kill('SIGINT')
    })
    assert.equal(code, 130, stderr)
    assert.match(stderr, new RegExp(`cocagrad train --out ${out} --resume`))
    assert.equal(readdirSync(join(out, 'checkpoints')).length, 1)
  })
})

describe('a mistake exits with 2 and one message that names it', () => {
  const caption = (...args: string[]) => cocagrad(['caption', '--run', run, ...args])
  const trainOn = (data: string, ...args: string[]) =>
    cocagrad(['train', '--data', data, '--out', inFolder('never'), ...args])
  const dataset = async (name: string, lines: string) => {
    await cocagrad(['data', 'shapes', '--out', inFolder(name), '--count', '1'])
    writeFileSync(inFolder(name, 'captions.jsonl'), lines)
    return inFolder(name)
  }

  it('a missing folder', async () => assertMistake(await trainOn('/no/such/folder'), '/no/such/folder'))

  it('a caption file with a bad line', async () => {
    const bad = await dataset('bad', '{"file":"images/000000.png","caption":"a star"}\n{"file":"images/000000.png"}\n')
    assertMistake(await trainOn(bad), 'captions.jsonl:2', 'caption')
  })

  it('an empty dataset', async () => assertMistake(await trainOn(await dataset('empty', '')), 'empty dataset'))

  it('an unknown preset', async () => assertMistake(await trainOn(shapes, '--preset', 'huge'), 'huge', 'tiny'))

  it('an invalid setting', async () => {
    const file = inFolder('wrong.json')
    writeFileSync(file, JSON.stringify({ data: shapes, optimizer: { learningRate: -1 }, wheels: 4 }))
    const outcome = await cocagrad(['train', '--config', file, '--out', inFolder('never')])
    assertMistake(outcome, 'wrong.json', 'optimizer.learningRate', 'wheels')
  })

  it('a query without words', async () =>
    assertMistake(await cocagrad(['retrieve', '--images', shapes, '--query', ' ', '--run', run]), '--query is empty'))

  it('a folder that already contains a run', async () => {
    assertMistake(await cocagrad(['train', '--data', shapes, '--out', run]), run, 'resume')
  })

  it('a folder that is not a run', async () => {
    assertMistake(await cocagrad(['caption', picture, '--run', shapes]), shapes, 'config.json')
  })

  it('two things for the doctor to look at', async () =>
    assertMistake(await cocagrad(['doctor', run, '--step', '3', '--batch', picture]), '--step 3', '--batch'))

  it('a batch that no guard saved', async () =>
    assertMistake(await cocagrad(['doctor', run, '--batch', picture]), picture))

  it('a truncated picture', async () => {
    const file = inFolder('cut.png')
    writeFileSync(
      file,
      encodePng(
        new Uint8Array(3 * 16 * 16).map((_, i) => i),
        16,
        16,
      ).subarray(0, 80),
    )
    assertMistake(await caption(file), file)
  })

  it('an unknown device', async () => assertMistake(await caption(picture, '--device', 'abacus'), 'abacus', 'gpu'))

  it('an option that has no effect', async () => assertMistake(await caption(picture, '--top-p', '0.9'), '--top-p'))

  it('an option of generation that the model refuses, by its flag', async () => {
    const refused = async (message: string, ...args: string[]) =>
      assertMistake(await caption(picture, ...args), `error: ${message}`)
    await refused("--maximum-length = 500: must be 1 to 16, the model's context", '--max-length', '500')
    await refused('--groups = 4: must divide the 6 beams', '--beams', '6', '--groups', '4')
    await refused('--diversity 1 has no effect without --groups 2 or more', '--beams', '2', '--diversity', '1')
    await refused("--prompt 'red red red' is 4 tokens", '--prompt', 'red red red', '--max-length', '3')
  })

  it('an option that is not a number', async () =>
    assertMistake(await caption(picture, '--beams', 'two'), '--beams', 'two'))

  it('a misspelt command or flag, with the nearest one', async () => {
    assertMistake(await cocagrad(['trian']), 'trian', 'Did you mean train?')
    assertMistake(await cocagrad(['devices', '--jsn']), '--jsn', 'Did you mean --json?')
  })

  it('a checkpoint of another model', async () => {
    const foreign = { dtype: 'F32', shape: [1], data: Float32Array.of(1) } as const
    const file = join(run, 'checkpoints', 'step-000003', 'model.safetensors')
    const own = readFileSync(file)
    writeFileSync(file, Buffer.concat(encodeSafetensors(new Map([['stranger', foreign]]))))
    try {
      assertMistake(await caption(picture), 'model.safetensors', 'stranger')
    } finally {
      writeFileSync(file, own)
    }
  })

  it('leaves no folder behind', () => assert.ok(!readdirSync(folder).includes('never')))
})

describe('commands without a run', () => {
  it('devices lists the available devices, and why others are not available', async () => {
    const { devices, images } = await answerOf('devices')
    assert.ok(devices.some((each: { name: string; available: boolean }) => each.name === 'reference' && each.available))
    assert.ok(devices.every((each: { detail: string }) => each.detail !== ''))
    assert.ok(['sharp', 'javascript'].includes(images.name))
  })
})
