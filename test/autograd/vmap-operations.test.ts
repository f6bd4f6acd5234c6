// Every operation in vmap against a loop over the samples: values, gradients inside of the mapped function, and gradients around
// it, at first and second order. The samples differ in their values, and an input may be the same for all of them.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grad, jvp, stack, type TensorFunction, vjp, vmap } from '../../src/autograd/index.ts'
import { isFloating, onesLike, show, type Tensor, tensor, zerosLike } from '../../src/tensor/index.ts'
import { type OperationCase, type OperationCases, operations } from '../../src/testing/index.ts'
import { assertClose, fc, runs, values } from '../support.ts'
import { plain } from './plain.ts'

const size = 3

/** Warnings of operations without a rule for batches: give it to `defineOp` as batching. */
const warned: string[] = []
process.on('warning', ({ name, message }) => {
  if (name === 'VmapWarning') warned.push(message)
})

/** Samples that differ: the values are exchanged along all axes, so that integers stay in their range and bools bools. */
function samplesLike(x: Tensor): Tensor {
  const data = values(x)
  const turned = Array.from({ length: size }, (_, i) => data.map((_, at) => data[(at + i) % data.length]))
  return tensor(turned.flat(), { shape: [size, ...x.shape], dtype: x.dtype, device: x.device })
}

/** The function for each sample, in a loop. */
const looped =
  (f: TensorFunction, axes: readonly (0 | null)[]) =>
  (...inputs: Tensor[]): Tensor =>
    stack(Array.from({ length: size }, (_, i) => f(...inputs.map((x, j) => (axes[j] === null ? x : x.slice([i]))))))

/** A smooth scalar that has different derivatives by each element of y. */
function scalarOf(y: Tensor): Tensor {
  const weights = Array.from({ length: y.size }, (_, i) => 1 + (i % 7) / 8)
  const w = tensor(weights, { shape: y.shape, dtype: y.dtype === 'float32' ? 'float32' : 'float64', device: y.device })
  return y.mul(w).add(y.square().mul(0.25)).sum()
}

/** Numbers of a random generator depend on the order of the samples. */
const random = new Set(['dropout', 'bernoulli', 'categorical', 'multinomial', 'gumbelSoftmax'])

/** Which inputs have samples: all, or all but one. */
const axesOf = (count: number, shared: number): (0 | null)[] =>
  Array.from({ length: count }, (_, i) => (i === shared && count > 1 ? null : 0))

function checkCase(call: OperationCase, options: unknown, inputs: readonly Tensor[], shared: number): void {
  const axes = axesOf(inputs.length, shared)
  const all = inputs.map((x, i) => (axes[i] === null ? x : samplesLike(x)))
  const f: TensorFunction = (...xs) => call.f(options, ...xs)
  const [mapped, loop] = [vmap(f, { in: axes }), looped(f, axes)]
  const where = `inputs ${inputs.map(x => `${show(x.shape)} ${x.dtype}`).join(', ')}, axes ${axes.join(', ')}`
  const same = (actual: Tensor, expected: Tensor, what: string) => {
    assert.deepEqual([actual.shape, actual.dtype], [expected.shape, expected.dtype], `${what}, ${where}`)
    assertClose(actual, plain(expected), actual.dtype === 'float64' ? 1e-10 : 1e-4)
  }
  same(mapped(...all), loop(...all), 'the values')
  const floating = all.flatMap((x, i) => (isFloating(x.dtype) ? [i] : []))
  if (call.order === 0 || floating.length === 0) return

  // a gradient around vmap
  const around = (g: TensorFunction) => grad((...xs) => scalarOf(g(...xs)), { wrt: floating })(...all)
  const expected = around(loop)
  for (const [i, g] of around(mapped).entries())
    same(g, expected[i], `the gradient by input ${floating[i]} around vmap`)

  // a forward derivative of each sample, along the sample itself
  const forward: TensorFunction = (...xs) =>
    jvp(
      f,
      xs,
      xs.map(x => (isFloating(x.dtype) ? x : zerosLike(x))),
    )[1]
  same(vmap(forward, { in: axes })(...all), looped(forward, axes)(...all), 'the forward derivative inside of vmap')

  // a gradient of each sample, inside of vmap
  for (const wrt of floating) {
    const inside = grad((...xs: Tensor[]) => scalarOf(f(...xs)), { wrt })
    const [perSample, oneByOne] = [vmap(inside, { in: axes }), looped(inside, axes)]
    same(perSample(...all), oneByOne(...all), `the gradient by input ${wrt} inside of vmap`)
    if (call.order < 2) continue
    // a gradient around vmap of a gradient inside of it
    const both = (g: TensorFunction) => grad((...xs) => scalarOf(g(...xs)), { wrt: floating })(...all)
    const second = both(oneByOne)
    for (const [i, g] of both(perSample).entries())
      same(g, second[i], `the second derivative by ${wrt} and ${floating[i]}`)
  }
}

/** The shape and dtype alone. */
function checkKind(call: OperationCase, options: unknown, inputs: readonly Tensor[], shared: number): void {
  const axes = axesOf(inputs.length, shared)
  const all = inputs.map((x, i) => (axes[i] === null ? x : samplesLike(x)))
  const f: TensorFunction = (...xs) => call.f(options, ...xs)
  const [actual, expected] = [vmap(f, { in: axes })(...all), looped(f, axes)(...all)]
  assert.deepEqual([actual.shape, actual.dtype], [expected.shape, expected.dtype])
}

for (const [name, cases] of Object.entries(operations as Readonly<Record<string, OperationCases>>)) {
  describe(name, () => {
    for (const [says, call] of Object.entries(cases))
      it(`${says}: vmap is the loop, also in gradients`, () => {
        fc.assert(
          fc.property(call.samples, fc.nat(3), ([options, ...inputs], shared) =>
            (random.has(name) ? checkKind : checkCase)(call, options, inputs, shared),
          ),
          runs(2),
        )
      })
  })
}

it('no operation of this package is computed one sample after the other', async () => {
  // warnings come after the code that caused them
  await new Promise(resolve => setTimeout(resolve, 0))
  assert.deepEqual(warned, [])
})

it('on cpu, by its kernels', () => {
  const fused = [
    'gelu',
    'softmax',
    'logSoftmax',
    'layerNorm',
    'attention',
    'linear',
    'crossEntropy',
    'matmul',
    'standardize',
  ]
  for (const [name, cases] of Object.entries(operations as Readonly<Record<string, OperationCases>>)) {
    if (!fused.includes(name)) continue
    for (const call of Object.values(cases))
      for (const [options, ...inputs] of fc.sample(call.samples, { numRuns: 3, seed: 5 }))
        checkCase(
          call,
          options,
          inputs.map(x =>
            tensor(values(x), { shape: x.shape, dtype: isFloating(x.dtype) ? 'float32' : x.dtype, device: 'cpu' }),
          ),
          -1,
        )
  }
})

it('a pullback can be mapped', () => {
  const x = tensor([1, 2, 3], { dtype: 'float64', device: 'reference' })
  const [y, pullback] = vjp(z => z.softmax(), x)
  const rows = stack([onesLike(y), y])
  const [g] = vmap((v: Tensor) => pullback(v))(rows)
  assertClose(g, plain(stack([pullback(onesLike(y))[0], pullback(y)[0]])), 1e-12)
})
