// Programs as users write them. Each stores the promise of its result in globalThis.answer, in Node and in a page.

const x = [1, 2, 3]
const tanh = x.map(Math.tanh)

/** d/dx and d²/dx² of Σ x tanh x */
const first = x.map((x, i) => tanh[i] + x * (1 - tanh[i] ** 2))
const second = x.map((x, i) => 2 * (1 - tanh[i] ** 2) * (1 - x * tanh[i]))

export interface Program {
  readonly name: string
  readonly code: string
  /** the numbers of its answer */
  readonly expected: readonly number[]
}

/** The file of a program. */
export const fileOf = ({ name }: Program): string => `${name.replaceAll(/[^a-z]+/g, '-')}.js`

const program = (name: string, imports: string, answer: string, expected: readonly number[]): Program => ({
  name,
  code: `${imports}\nglobalThis.answer = (async () => ${answer})()\n`,
  expected,
})

const f = 'x => x.mul(x.tanh()).sum()'
const tensorAlone = `import { tensor } from 'cocagrad/tensor'`

/** Each entry alone, by its name among the exports of package.json. */
export const entries: Record<string, Program> = {
  '.': program('cocagrad', `import { tensor } from 'cocagrad'`, 'tensor([1, 2]).mul(3).array()', [3, 6]),
  './autograd': program(
    'cocagrad/autograd',
    `import { grad } from 'cocagrad/autograd'\n${tensorAlone}`,
    `grad(${f})(tensor([1, 2, 3])).array()`,
    first,
  ),
  './nn': program(
    'cocagrad/nn',
    `import { init, parameter } from 'cocagrad/nn'`,
    'parameter([2], init.ones).mul(3).array()',
    [3, 3],
  ),
  './optim': program(
    'cocagrad/optim',
    `import { constant } from 'cocagrad/optim'\n${tensorAlone}`,
    'tensor([1, 2]).mul(constant(3)(0)).array()',
    [3, 6],
  ),
  './models': program(
    'cocagrad/models',
    `import { presets } from 'cocagrad/models'\n${tensorAlone}`,
    'tensor([1, 2]).mul(presets.tiny ? 3 : 0).array()',
    [3, 6],
  ),
  './notebook': program(
    'cocagrad/notebook',
    `import { tensor } from 'cocagrad'\nimport { plot } from 'cocagrad/notebook'`,
    'tensor([1, 2]).mul(plot([1, 2]).series[0].points.length).array()',
    [2, 4],
  ),
  './testing': program(
    'cocagrad/testing',
    `import { sourceOf } from 'cocagrad/testing'\n${tensorAlone}`,
    'tensor([1, 2]).mul(sourceOf ? 3 : 0).array()',
    [3, 6],
  ),
  './train': program(
    'cocagrad/train',
    `import { describeCheck } from 'cocagrad/train'\n${tensorAlone}`,
    'tensor([1, 2]).mul(describeCheck ? 3 : 0).array()',
    [3, 6],
  ),
  './fit': program(
    'cocagrad/fit',
    `import { AdamW, Linear, tensor } from 'cocagrad'\nimport { fit } from 'cocagrad/fit'`,
    `{
  const model = new Linear(1, 1)
  const batch = { x: tensor([[1], [2]]), y: tensor([[1], [3]]) }
  const loss = ({ x, y }) => model.forward(x).sub(y).square().mean()
  const { step, metrics } = await fit({ objective: { model, loss }, batches: [batch], optimizer: new AdamW(model), steps: 3 })
  return [step, metrics.filter(({ kind }) => kind === 'step').length]
}`,
    [3, 3],
  ),
  // values alone: types.ts asserts that these two promise no methods
  './tensor': program('cocagrad/tensor', tensorAlone, 'tensor([1, 2]).view([2], [-1], 1).array()', [2, 1]),
  './data': program(
    'cocagrad/data',
    `import { encodeSafetensors, parseSafetensors, resizeImage, trainBytePairs } from 'cocagrad/data'\n${tensorAlone}`,
    `{
  const { pixels } = resizeImage({ width: 2, height: 2, data: new Uint8Array(4).fill(51) }, { size: 1, channels: 1 })
  const [id] = trainBytePairs(['a'], { vocabularySize: 259 }).encode('a')
  const [head, data] = encodeSafetensors(new Map([['x', { dtype: 'F32', shape: [1], data: pixels }]]))
  const { tensors } = parseSafetensors(Uint8Array.from([...head, ...data]))
  return [...(await tensor(tensors.get('x').data).array()), id]
}`,
    // 3 special ids, and 'a' after the signs from '!' on
    [0.2, 3 + 'a'.charCodeAt(0) - '!'.charCodeAt(0)],
  ),
}

/** Entries that are one file with all that they need. */
export const oneFiles = ['./cocagrad.min.js', './cocagrad-cpu.min.js'] as const
for (const path of oneFiles)
  entries[path] = program(
    `cocagrad${path.slice(1)}`,
    `import { shapesExample, tensor } from 'cocagrad${path.slice(1)}'\nimport { fit } from 'cocagrad${path.slice(1)}'`,
    'tensor([1, 2]).mul(fit && shapesExample ? 3 : 0).array()',
    [3, 6],
  )

/** Entries that need Node and are not bundled for a page. */
export const forNode = ['./train']

/** Entries whose tensors have no methods. */
export const withoutMethods = ['./tensor', './data']

export const methods = program(
  'methods, and a gradient of a gradient',
  `import { grad, tensor } from 'cocagrad'`,
  `grad(x => grad(${f})(x).sum())(tensor([1, 2, 3])).array()`,
  second,
)

export const functions = program(
  'functions',
  `import { grad, mul, sum, tanh, tensor } from 'cocagrad'`,
  'grad(x => sum(mul(x, tanh(x))))(tensor([1, 2, 3])).array()',
  first,
)

/** Least squares on orthogonal inputs, where a step halves the error; on cpu, and on gpu as far as there is one. */
export const training = program(
  'training on cpu and on gpu',
  `import { device, Linear, lossAndGradients, SGD, scope, tensor } from 'cocagrad'

async function train() {
  const model = new Linear(2, 1)
  const optimizer = new SGD(model, { learningRate: 0.25 })
  const x = tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]])
  const y = tensor([[1.5], [3.5], [-2.5], [-0.5]])
  for (let step = 0; step < 30; step++)
    scope(() => {
      const loss = () => model.forward(x).sub(y).square().mean()
      optimizer.step(lossAndGradients(model, loss).gradients)
    })
  return [await model.weight.array(), await model.bias.array()]
}`,
  `{
  const onCpu = await train()
  await device.use('gpu', typeof document === 'undefined' ? { backend: 'cpu' } : {})
  return [onCpu, await train()]
}`,
  [2, -1, 0.5, 2, -1, 0.5],
)
