// Each problem that the doctor can find is made once, and a healthy run has no findings.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, test } from 'node:test'
import { defineOp, gelu } from '../../src/autograd/index.ts'
import { type ImageTextSource, WordTokenizer } from '../../src/data/index.ts'
import { examineActivity } from '../../src/doctor/activity.ts'
import { type DataExamination, examineData } from '../../src/doctor/data.ts'
import type { DoctorFinding } from '../../src/doctor/finding.ts'
import { examineGradients } from '../../src/doctor/gradients.ts'
import { examineKeptBatch, examineRun } from '../../src/doctor/index.ts'
import { examineMetrics } from '../../src/doctor/metrics.ts'
import { type Training, trainingOf } from '../../src/doctor/training.ts'
import type { LossBatch } from '../../src/evaluate/inputs.ts'
import { readSafetensors, type SafetensorsTensor, writeSafetensors } from '../../src/io/index.ts'
import { CoCa, type CoCaConfig } from '../../src/models/index.ts'
import { device, full, Generator, seed, type Tensor, zeros } from '../../src/tensor/index.ts'
import type { LossProblem } from '../../src/train/guard/directional.ts'
import { CoCaObjective, checkRunConfig, type MetricsLine, openRun, train } from '../../src/train/index.ts'
import { modern } from '../../src/train/metrics.ts'
import { temporaryFolder } from '../data/folder.ts'
import { pictures, tinyConfig, tinyJson, tinyModel } from '../train/tiny.ts'

const titles = (findings: readonly DoctorFinding[]) => findings.map(({ title }) => title)

function problemOf(config: CoCaConfig = tinyModel): LossProblem<LossBatch> & { readonly model: CoCa } {
  seed(3)
  const generator = new Generator(1)
  const batch = {
    images: Float32Array.from({ length: 3 * 192 }, () => generator.normal()),
    imageShape: [3, 3, 8, 8],
    tokens: Int32Array.of(1, 4, 5, 2, 0, 0, 1, 6, 2, 0, 0, 0, 1, 7, 8, 9, 2, 0),
    tokenShape: [3, 6],
  } as const
  const model = new CoCa(config)
  return {
    model,
    objective: new CoCaObjective(model, { positives: true }),
    parts: 1,
    position: 0,
    batch: { ...batch, imageShape: [3, 3, 8, 8], tokenShape: [3, 6] },
  }
}

describe('gradients', () => {
  const leaky = (isWrong: (x: Tensor) => boolean) =>
    defineOp<[Tensor]>(
      'leaky',
      (k, x) => k.copy(x),
      (g, _, x) => [() => (isWrong(x) ? g.mul(1.5) : g)],
    )
  const examine = (isWrong: (x: Tensor) => boolean) => {
    const problem = problemOf()
    const { mlp } = problem.model.encoder.blocks[0]
    const op = leaky(isWrong)
    mlp.forward = x => mlp.down.forward(op(gelu(mlp.up.forward(x))))
    return examineGradients(problem, { bound: 0.01, generator: new Generator(2) })
  }

  it('right gradients give no findings in any part', async () => {
    const { parts, findings } = await examine(() => false)
    assert.deepEqual(findings, [])
    assert.ok(parts.length >= 9 && parts.every(({ error }) => error < 1e-4), JSON.stringify(parts))
  })

  it('a wrong rule is found in its own part, and no part nearer to the loss is wrong', async () => {
    const { parts, findings } = await examine(() => true)
    const [{ severity, title, evidence, advice }] = findings
    assert.deepEqual([severity, title], ['wrong', 'the gradient of encoder.blocks.0 is wrong'])
    assert.match(evidence, /the last of them mlp\.up\.bias; these are right: .*mlp\.down\.weight, mlp\.down\.bias$/)
    assert.match(advice, /an operation has a wrong rule/)
    for (const { part, error } of parts) assert.ok(part.startsWith('encoder') || error < 1e-4, `${part}: ${error}`)
  })

  it('a wrong kernel of a device is distinguished from a wrong rule, and each wrong tensor is named', () =>
    device.with('cpu', async () => {
      const { findings } = await examine(x => x.device === 'cpu')
      assert.deepEqual(titles(findings), ['the gradient of encoder.blocks.0.mlp.up.bias is wrong on this device'])
      assert.match(findings[0].evidence, /mlp\.up\.bias by 50\.0 %, .*mlp\.up\.weight by 50\.0 %/)
      assert.match(findings[0].advice, /a kernel of this device is wrong/)
    }))

  it('a gradient lost in rounding is only a note on every device', async () => {
    for (const each of ['cpu', 'reference'] as const)
      await device.with(each, async () => {
        const problem = problemOf()
        // what layerNorm subtracts from the features has no digits left for their differences
        for (const [name, parameter] of problem.model.namedParameters())
          if (name.endsWith('mlp.down.bias')) parameter.assign(parameter.add(1e5))
        const { findings } = await examineGradients(problem, { bound: 0.01, generator: new Generator(2) })
        assert.ok(findings.length > 0)
        for (const { severity, title } of findings)
          assert.match(`${severity}: ${title}`, /^note: the gradient of \w+ is lost in the rounding of float32$/)
      })
  })
})

describe('metrics', () => {
  const config = checkRunConfig({ model: 'tiny', data: 'x', steps: 200, batchSize: 16 })
  /** A step in the form of old runs. */
  const healthy = (step: number) => {
    const loss = 3 * 0.98 ** step + 0.3 + 0.1 * Math.sin(step)
    const parts = { loss, contrastive: loss / 3, captioning: loss / 3, gradientNorm: loss, scale: 14 }
    return {
      kind: 'step' as const,
      step,
      epoch: 0,
      ...parts,
      learningRate: 1e-3,
      imagesPerSecond: 1,
      seconds: 1,
      waiting: 0,
      skipped: 0,
    }
  }
  const found = (change: (step: number) => object = () => ({}), others: MetricsLine[] = []) => {
    const lines = Array.from({ length: 200 }, (_, i) => modern({ ...healthy(i + 1), ...change(i + 1) }))
    return examineMetrics([...lines, ...others], config, 'runs/x')
  }
  const one = (findings: readonly DoctorFinding[]) => {
    assert.equal(findings.length, 1, titles(findings).join('; '))
    return `${findings[0].severity}: ${findings[0].title}. ${findings[0].evidence}`
  }

  it('a healthy training has no findings', () => assert.deepEqual(found(), []))

  it('the first finding of a diverged training is its learning rate', () => {
    const hot = { ...config, optimizer: { ...config.optimizer, learningRate: 0.5 } }
    const course = (step: number) => ({ loss: step < 10 ? 8 + 5 * step : 8 - step / 100, contrastive: 2.77, scale: 1 })
    const lines = Array.from({ length: 200 }, (_, i) => modern({ ...healthy(i + 1), ...course(i + 1) }))
    const [first, ...others] = examineMetrics(lines, hot, 'runs/x')
    assert.equal(first.title, 'a learning rate of 0.5 is far above the usual range of adamw')
    assert.match(first.evidence, /^usual values are at most 0\.003; the loss was 13 at step 1 and 53 at step 9$/)
    assert.deepEqual(titles(others), [
      'the contrastive loss is no better than guessing',
      'the temperature has collapsed',
    ])
    for (const { advice } of others) assert.match(advice, /^first use a learning rate of 0\.003 or less/)
    // with a usual rate, the course of the loss still shows that it was too high
    const [usual] = examineMetrics(lines, config, 'runs/x')
    assert.match(usual.title, /^the loss jumped far above its initial value, with a learning rate of 0\.001$/)
    assert.match(usual.advice, /^start a new run with a learning rate of a tenth of 0\.001 or less/)
  })

  it('a high learning rate that does no harm is not reported', () => {
    const high = { ...config, optimizer: { ...config.optimizer, learningRate: 0.5 } }
    const lines = Array.from({ length: 200 }, (_, i) => modern(healthy(i + 1)))
    assert.deepEqual(examineMetrics(lines, high, 'runs/x'), [])
  })

  it('a training of two steps has no findings', () =>
    assert.deepEqual(examineMetrics([modern(healthy(1)), modern({ ...healthy(2), loss: 9 })], config, 'runs/x'), []))

  for (const [fault, change, expected] of [
    [
      'a NaN',
      step => (step > 150 ? { loss: null, scale: null } : {}),
      /^wrong: a recorded value is not finite\. step 151: loss is NaN, scale is NaN/,
    ],
    ['a constant loss', () => ({ loss: 3, contrastive: 1 }), /^suspect: the loss does not fall/],
    ['a rising loss', step => ({ loss: 3 + step / 100 }), /^suspect: the loss rises/],
    [
      'a loss that falls and rises',
      step => (step > 150 ? { loss: 2 } : {}),
      /^suspect: the loss fell and then rose again/,
    ],
    [
      'a contrastive loss at chance level',
      () => ({ contrastive: 2.75 }),
      /^suspect: the contrastive loss is no better than guessing/,
    ],
    ['an exploding gradient', step => ({ gradientNorm: 1.05 ** step }), /^suspect: the gradients grow/],
    ['a gradient of 0', () => ({ gradientNorm: 0 }), /^wrong: the gradients are 0/],
    [
      'a gradient norm that jumps',
      step => (step === 120 ? { gradientNorm: 500 } : {}),
      /^suspect: the gradient norm jumps in 1 step\. .*500 at step 120/,
    ],
    [
      'a temperature that collapses',
      step => (step > 100 ? { scale: 1 } : {}),
      /^suspect: the temperature has collapsed/,
    ],
    [
      'a temperature at its limit that does not separate the pairs',
      step => (step > 50 ? { scale: 100, contrastive: 2 } : {}),
      /^suspect: the temperature is at its limit, but the pairs are not separated\. .*step 51/,
    ],
    [
      'a temperature at its limit',
      step => (step > 50 ? { scale: 100 } : {}),
      /^note: the temperature is at its limit\./,
    ],
  ] as [string, (step: number) => object, RegExp][])
    it(`${fault} is reported`, () => assert.match(one(found(change)), expected))

  it('a wrong gradient found by the guard is reported', () => {
    const check = {
      kind: 'guard',
      step: 1,
      error: 0.1,
      bound: 0.01,
      tape: 1,
      differences: 2,
      examples: 8,
      seconds: 1,
    } as const
    const file = 'guard/step-000501.safetensors'
    const findings = found(undefined, [
      { ...check, ok: true },
      { ...check, step: 501, ok: false, inFloat64: 0.1, file },
    ])
    assert.match(one(findings), /^wrong: the guard found a wrong gradient in 1 of 2 checks\. step 501/)
    assert.match(findings[0].advice, /cocagrad doctor runs\/x --batch runs\/x\/guard\/step-000501\.safetensors/)
  })

  it('a classification loss at chance level is reported', () => {
    const model = { image: tinyModel.image, classes: 10 }
    const classifier = trainingOf(checkRunConfig({ family: 'classifier', model, data: 'x', steps: 200, batchSize: 16 }))
    /** The loss falls from 4 to a multiple of the loss of guessing. */
    const endingAt = (multiple: number, config: Training = classifier) => {
      const lines = Array.from({ length: 200 }, (_, i): MetricsLine => {
        const classification = multiple * Math.log(10) + (4 - multiple * Math.log(10)) * 0.95 ** i
        const { epoch, learningRate, seconds, waiting, skipped } = healthy(i + 1)
        const losses = { total: classification, classification }
        return {
          kind: 'step',
          step: i + 1,
          epoch,
          losses,
          measures: {},
          gradientNorm: 1,
          learningRate,
          examplesPerSecond: 1,
          seconds,
          waiting,
          skipped,
        }
      })
      return examineMetrics(lines, config, 'runs/x')
    }
    const findings = endingAt(1)
    assert.equal(
      one(findings),
      'suspect: the classification loss is no better than guessing. it is 2.3 over the last tenth of the steps; guessing among 10 classes gives 2.3',
    )
    assert.match(
      findings[0].advice,
      /^check that the labels belong to the images; otherwise use a higher learning rate/,
    )
    assert.equal(endingAt(0.96).length, 1)
    // a loss that does not fall
    assert.match(endingAt(4 / Math.log(10))[0].advice, /^first check that .* and the labels belong to the images; then/)
    assert.deepEqual(endingAt(0.94), [])
    assert.deepEqual(endingAt(0.1), [])
    assert.deepEqual(endingAt(1, { ...classifier, classes: undefined }), [])
    const hot = endingAt(1, { ...classifier, optimizer: { name: 'adamw', learningRate: 0.5 } })
    assert.match(hot[1].advice, /^first use a learning rate of 0\.003 or less; then check that the labels belong/)
  })

  it('overfitting is reported', () => {
    const at = (step: number, loss: number) => ({ kind: 'evaluation', step, seconds: 1, values: { loss } }) as const
    assert.match(
      one(found(undefined, [at(50, 1), at(100, 0.8), at(150, 0.9), at(200, 1.1)])),
      /^note: .* 0\.8 at step 100/,
    )
    assert.deepEqual(found(undefined, [at(50, 1), at(100, 0.8), at(150, 0.81), at(200, 0.82)]), [])
  })
})

describe('activity', () => {
  it('a new model has no findings', async () => assert.deepEqual(await examineActivity(problemOf(), false, 1e-3), []))

  it('units that never fire are reported, and so are the parameters that then get no gradient', async () => {
    const problem = problemOf({ ...tinyModel, activation: 'relu' })
    const { up } = problem.model.encoder.blocks[0].mlp
    up.bias!.assign(zeros(up.bias!.shape).sub(100))
    const findings = await examineActivity(problem, false, 1e-3)
    const dead = findings.find(({ title }) => /^units of \d layers? never fire$/.test(title))
    assert.match(dead!.evidence, /^encoder\.blocks\.0\.mlp 32 of 32 \(100\.0 %\)/)
    assert.match(dead!.advice, /a learning rate below 0\.001 .* gelu instead of relu/)
    const still = findings.find(({ title }) => /^no gradient reaches 5 parameters/.test(title))
    assert.match(still!.evidence, /mlpNorm\.weight 0, .*mlpNorm\.bias 0/)
  })

  it('the advice does not name gelu if the model uses it', async () => {
    const problem = problemOf()
    const { up } = problem.model.encoder.blocks[0].mlp
    up.bias!.assign(zeros(up.bias!.shape).sub(100))
    const findings = await examineActivity(problem, false, 0.5)
    const dead = findings.find(({ title }) => /never fire/.test(title))
    assert.match(dead!.advice, /start a new run with a learning rate below 0\.5 or a longer warm-up$/)
  })

  it('a layer whose gradient is 0 is reported', async () => {
    const problem = problemOf()
    const { weight } = problem.model.multimodal.output
    weight.assign(zeros(weight.shape))
    const [{ title, severity }] = await examineActivity(problem, false, 1e-3)
    assert.match(title, /^no gradient reaches \d+ parameters$/)
    assert.equal(severity, 'suspect')
  })

  it('embeddings that are all alike are reported if the model is trained', async () => {
    const problem = problemOf()
    const same = { ...problem, batch: { ...problem.batch, images: new Float32Array(3 * 192) } }
    assert.ok(titles(await examineActivity(same, true, 1e-3)).includes('the embeddings of images are all alike'))
    assert.ok(!titles(await examineActivity(same, false, 1e-3)).some(title => /alike/.test(title)))
  })

  it('values that are not finite are the only finding', async () => {
    const problem = problemOf()
    const { weight } = problem.model.encoder.patches.projection
    weight.assign(full(weight.shape, 3e38))
    const [{ severity, title, evidence }, ...others] = await examineActivity(problem, true, 1e-3)
    assert.deepEqual(others, [])
    assert.deepEqual([severity, title], ['wrong', 'the model computes values that are not finite'])
    assert.match(evidence, /^activation \S+ at encoder\.patches\.projection\.weight has (NaN|-?Infinity) at \d+, loss /)
  })

  it('a part whose loss has no weight is not reported', async () => {
    const loss = { captioning: { weight: 0 } }
    assert.deepEqual(await examineActivity(problemOf({ ...tinyModel, loss }), false, 1e-3), [])
  })
})

describe('data', () => {
  const words = ['red', 'blue', 'green', 'black', 'white', 'grey']
  const source = (
    captions: readonly (readonly string[])[],
    first = 0,
    same: Record<number, number> = {},
  ): ImageTextSource => ({
    length: captions.length,
    imageSize: 8,
    fingerprint: captions.join(),
    captions: index => captions[index],
    name: index => `${first + index}.png`,
    image: async index => new Float32Array(192).fill((first + (same[index] ?? index)) / 100),
  })
  const different = Array.from({ length: 12 }, (_, i) => [
    `a ${words[i % 6]} ${words[(i * 5 + (i > 5 ? 1 : 0)) % 6]} thing`,
  ])
  const tokenizer = WordTokenizer.fromCaptions(different.flat())
  const config = (others: Record<string, unknown> = {}) => tinyConfig('x', { batchSize: 4, ...others })
  const found = (data: Partial<DataExamination>) =>
    examineData({ train: source(different), tokenizer, config: config(), ...data })

  it('good data has no findings', async () => {
    assert.deepEqual(await found({ validation: source(different.slice(0, 3), 50), isChanged: false }), [])
  })

  it('changed data is reported', async () => {
    assert.deepEqual(titles(await found({ isChanged: true })), ['the data is not what the run was trained on'])
  })

  it('repeated images are reported', async () => {
    const [{ title, evidence, severity }] = await found({ train: source(different, 0, { 5: 2, 7: 2 }) })
    assert.deepEqual([severity, title], ['suspect', 'training images occur more than once'])
    assert.match(evidence, /^2 of 12 \(16\.7 %\) .*2\.png equals 5\.png/)
  })

  it('held-out images that are also trained on are reported', async () => {
    const [{ title, evidence, severity }] = await found({ validation: source(different.slice(0, 3), 10) })
    assert.deepEqual([severity, title], ['wrong', 'held-out images are among the training images'])
    assert.match(evidence, /^2 of 3 \(66\.7 %\) have the pixels of a training image: 10\.png equals 10\.png/)
  })

  it('equal captions are reported if the run ignores them', async () => {
    const train = source(different.map((_, i) => [`a ${words[i % 6]} thing`]))
    const [{ title, evidence }] = await found({ train, config: config({ equalCaptions: 'ignore' }) })
    assert.equal(title, 'equal captions are false negatives of each other')
    // 1 of 11 others is equal, and 3 of the 11 are in the batch
    assert.match(
      evidence,
      /^12 images have 6 different captions; in a batch of 4, a caption equals 0\.273 others on average/,
    )
    assert.deepEqual(await found({ train }), [])
  })

  it('captions that are all equal are reported', async () => {
    const train = source(different.map(() => ['a red thing']))
    assert.deepEqual(titles(await found({ train })), ['most captions of a batch are equal'])
  })

  it('captions with unknown words, without words or too long are reported', async () => {
    const captions = [
      ['a red and very very long thing'],
      ['…'],
      ['uno dos tres'],
      ['a pink thing'],
      ...different.slice(4),
    ]
    const findings = await found({ train: source(captions) })
    assert.deepEqual(titles(findings), [
      'training captions contain no word that the model knows',
      'training captions are longer than the context',
      'training captions contain words that the model does not know',
    ])
    assert.match(findings[0].evidence, /^2 of 12 .*1\.png: '…'; 2\.png|1\.png: '…', 2\.png: 'uno dos tres'/)
    assert.deepEqual(titles(await found({ train: source([[' '], ...different.slice(1)]) })), [
      'training captions contain only padding',
    ])
  })
})

describe('the classes of data', () => {
  /** The findings for a classifier whose training images have these classes. */
  const found = (labels: readonly (readonly string[])[], classes = ['cat', 'dog', 'owl']) => {
    const train: ImageTextSource = {
      length: labels.length,
      imageSize: 8,
      fingerprint: labels.join(),
      captions: () => [''],
      labels: index => labels[index],
      name: index => `${index}.png`,
      image: async index => new Float32Array(192).fill(index),
    }
    const config = checkRunConfig(tinyJson('x', { family: 'classifier', model: { image: tinyModel.image } }))
    return examineData({ train, classes, config })
  }
  const images = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).flatMap(([name, count]) => Array.from({ length: count }, () => [name]))

  it('a class without a training image is reported', async () => {
    const findings = await found(images({ cat: 3, owl: 1 }))
    assert.deepEqual(
      findings.map(({ severity, title, evidence }) => [severity, title, evidence]),
      [
        [
          'suspect',
          'some classes have no training image',
          "training images of each class, fewest first: 'dog' 0, 'owl' 1, 'cat' 3",
        ],
      ],
    )
    // an image may have several classes
    assert.deepEqual(await found([...images({ cat: 2, owl: 1 }), ['cat', 'dog']]), [])
  })

  it('a class with far fewer images than another is reported', async () => {
    const findings = await found(images({ cat: 11, dog: 5, owl: 1 }))
    assert.deepEqual(
      findings.map(({ severity, title, evidence }) => [severity, title, evidence]),
      [
        [
          'note',
          'some classes have far fewer images than others',
          "training images of each class, fewest first: 'owl' 1, 'dog' 5, 'cat' 11; 'cat' has the most, 11",
        ],
      ],
    )
    assert.deepEqual(await found(images({ cat: 9, dog: 5, owl: 1 })), [])
  })
})

describe('a run', () => {
  let run = ''
  let data = ''
  const steps = 150
  const checkpoint = () => join(run, 'checkpoints', `step-000${steps}`)

  const folder = mkdtempSync(join(tmpdir(), 'cocagrad-doctor-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  before(async () => {
    data = await pictures(folder, 80)
    run = join(folder, 'run')
    const [image, text] = [
      { ...tinyModel.image, size: 16, width: 32 },
      { ...tinyModel.text, width: 32 },
    ]
    const model = { ...tinyModel, image, text, embedding: 32 }
    const learning = { model, steps, batchSize: 8, optimizer: { learningRate: 2e-3 }, device: 'cpu' }
    await train(run, tinyConfig(data, { ...learning, checkpointEvery: steps, guard: { every: 50, share: 100 } }))
  })

  /** The findings while a file of the checkpoint is changed. */
  async function foundWith(
    file: 'model.safetensors' | 'optimizer.safetensors',
    change: (tensors: Map<string, SafetensorsTensor>) => void,
  ): Promise<readonly DoctorFinding[]> {
    const path = join(checkpoint(), file)
    await copyFile(path, `${path}.saved`)
    try {
      const { tensors } = await readSafetensors(path)
      change(tensors)
      await writeSafetensors(path, tensors)
      return (await examineRun(run)).findings
    } finally {
      await copyFile(`${path}.saved`, path)
    }
  }
  const valuesOf = (tensors: Map<string, SafetensorsTensor>, name: string) => tensors.get(name)!.data as Float32Array

  it('a healthy run has no serious findings', async () => {
    const { ok, findings, looked } = await examineRun(run)
    assert.deepEqual([ok, titles(findings.filter(({ severity }) => severity !== 'note'))], [true, []])
    assert.deepEqual(Object.keys(looked), ['gradients', 'optimizer', 'metrics', 'activity', 'data'])
    assert.match(looked.metrics, /^150 steps and 3 checks by the guard$/)
  })

  it('moments that are not finite are reported', async () => {
    const findings = await foundWith('optimizer.safetensors', tensors => {
      valuesOf(tensors, 'firstMoment.logScale')[0] = Number.NaN
    })
    const [{ severity, title, evidence }] = findings
    assert.deepEqual([severity, title], ['wrong', 'the optimizer’s moments hold values that are not finite'])
    assert.match(evidence, /firstMoment\.logScale has NaN at 0/)
  })

  it('second moments that are negative or do not belong to the first are reported', async () => {
    const negative = await foundWith('optimizer.safetensors', tensors => {
      valuesOf(tensors, 'secondMoment.imageProjection.weight')[3] *= -1
    })
    assert.ok(titles(negative).includes('second moments are negative, but they are means of squares'))
    const mixed = await foundWith('optimizer.safetensors', tensors => {
      const first = valuesOf(tensors, 'firstMoment.imageProjection.weight')
      first.forEach((_, i) => {
        first[i] *= 1000
      })
    })
    assert.deepEqual(titles(mixed.slice(0, 1)), ['first and second moments do not belong together'])
  })

  it('a missing moment is reported', async () => {
    const lacking = await foundWith('optimizer.safetensors', tensors => void tensors.delete('firstMoment.logScale'))
    assert.equal(lacking[0].title, 'the optimizer’s state cannot be read')
    assert.match(lacking[0].evidence, /firstMoment\.logScale is missing/)
  })

  it('a parameter that never had a gradient is reported', async () => {
    const findings = await foundWith('optimizer.safetensors', tensors => {
      valuesOf(tensors, 'secondMoment.encoder.positions').fill(0)
      valuesOf(tensors, 'firstMoment.encoder.positions').fill(0)
    })
    assert.ok(titles(findings).includes('1 parameter never had a gradient'), titles(findings).join())
  })

  it('an optimizer at another step than its checkpoint is reported', async () => {
    const path = join(checkpoint(), 'state.json')
    const text = await readFile(path, 'utf8')
    try {
      await writeFile(path, text.replace(/("logScale": )\d+/, '$1999'))
      const [{ title, evidence }] = (await examineRun(run)).findings
      assert.equal(title, 'the optimizer is ahead of its checkpoint')
      assert.match(evidence, /logScale 999/)
    } finally {
      await writeFile(path, text)
    }
  })

  it('weights that are not finite are the only wrong finding', async () => {
    const findings = await foundWith('model.safetensors', tensors => {
      valuesOf(tensors, 'imageProjection.weight')[0] = Number.POSITIVE_INFINITY
    })
    assert.deepEqual(titles(findings.filter(({ severity }) => severity === 'wrong')), [
      'the weights hold values that are not finite',
    ])
  })

  it('the restored run opens at its last step', async () => {
    assert.equal((await openRun(run)).step, steps)
  })
})

test('a batch that a guard saved is examined with its own weights', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  const wrong = defineOp<[Tensor]>(
    'wrong',
    (k, x) => k.copy(x),
    g => [() => g.mul(2)],
  )
  const planted = train(run, tinyConfig(await pictures(folder), { guard: { every: 1 } }), {
    onStart: ({ model }) => {
      const { mlp } = model.encoder.blocks[0]
      mlp.forward = x => mlp.down.forward(wrong(gelu(mlp.up.forward(x))))
    },
    onGuard: () => {},
  })
  await assert.rejects(planted, /the gradient is wrong/)
  // the wrong operation is not in the file: without it the gradient is right
  const { ok, step, looked } = await examineKeptBatch(run, join(run, 'guard', 'step-000001.safetensors'))
  assert.deepEqual([ok, step, Object.keys(looked)], [true, 1, ['gradients']])
  await assert.rejects(examineKeptBatch(run, join(run, 'other.safetensors')), /other\.safetensors: does not exist/)
  const kept = join(run, 'guard', 'step-000001.safetensors')
  const { tensors, metadata } = await readSafetensors(kept)
  tensors.get('parameter.logScale')!.data[0] = Number.NaN
  await writeSafetensors(kept, tensors, Object.fromEntries(metadata))
  await assert.rejects(examineKeptBatch(run, kept), /step-000001\.safetensors: .*logScale \[\] has NaN at 0/)
})
