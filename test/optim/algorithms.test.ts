// Each algorithm against its formula in plain numbers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Adafactor, type AdafactorOptions, AdamW, SGD, type SGDOptions } from '../../src/optim/index.ts'
import type { Shape } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { follow, Loose, type Walk } from './plain.ts'

const steps = 20
const learningRate = 0.05

function plainSGD({ momentum = 0, nesterov = false, weightDecay = 0 }: SGDOptions): Walk {
  return (start, gradient) => {
    const value = [...start]
    // the first velocity is the gradient itself, as zeros times momentum would give
    let velocity: number[] | undefined
    for (let step = 0; step < steps; step++) {
      const d = gradient(step).map((g, i) => g + weightDecay * value[i])
      const v: number[] = velocity ? velocity.map((old, i) => momentum * old + d[i]) : d
      velocity = v
      for (let i = 0; i < value.length; i++) value[i] -= learningRate * (nesterov ? d[i] + momentum * v[i] : v[i])
    }
    return value
  }
}

for (const options of [
  {},
  { weightDecay: 0.1 },
  { momentum: 0.9 },
  { momentum: 0.9, weightDecay: 0.1 },
  { momentum: 0.8, nesterov: true, weightDecay: 0.01 },
])
  test(`SGD ${JSON.stringify(options)} follows its formula`, () => {
    const module = new Loose()
    const optimizer = new SGD(module, { learningRate, ...options })
    for (const [actual, expected] of follow(module, optimizer, steps, plainSGD(options)))
      assertCloseNumbers(actual, expected, 1e-12)
  })

test('AdamW follows its formula', () => {
  const [beta1, beta2, epsilon, decay] = [0.8, 0.95, 1e-3, 0.3]
  const module = new Loose()
  const optimizer = new AdamW(module, { learningRate, betas: [beta1, beta2], epsilon, weightDecay: decay })
  const plain: Walk = (start, gradient) =>
    start.map((w, i) => {
      let [m, v] = [0, 0]
      for (let t = 1; t <= steps; t++) {
        const g = gradient(t - 1)[i]
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        const [unbiasedMean, unbiasedSquare] = [m / (1 - beta1 ** t), v / (1 - beta2 ** t)]
        w -= learningRate * decay * w
        w -= (learningRate * unbiasedMean) / (Math.sqrt(unbiasedSquare) + epsilon)
      }
      return w
    })
  for (const [actual, expected] of follow(module, optimizer, steps, plain)) assertCloseNumbers(actual, expected, 1e-12)
})

test('the first step of AdamW has the size of the learning rate, against the sign of the gradient', () => {
  const module = new Loose()
  const before = module.parameters().map(parameter => [...parameter.dataSync()])
  const optimizer = new AdamW(module, { learningRate, weightDecay: 0 })
  const gradients = new Map([...module.namedParameters()].map(([name, p], n) => [name, p.mul(n === 0 ? 1e-3 : -7)]))
  optimizer.step(gradients)
  module.parameters().forEach((parameter, n) => {
    const sign = n === 0 ? 1 : -1
    const expected = before[n].map(w => w - sign * learningRate * Math.sign(w))
    assertCloseNumbers([...parameter.dataSync()], expected, 1e-4)
  })
})

/** Algorithms 4 and 5 of the paper, with loops over the matrices of a parameter. */
function plainAdafactor(options: AdafactorOptions): Walk {
  const { beta1 = 0.9, beta2 = 0.999, clipThreshold = 1, relativeStep = false, weightDecay = 0 } = options
  const rms = (xs: readonly number[]) => Math.sqrt(xs.reduce((sum, x) => sum + x * x, 0) / xs.length)
  return (start, gradient, shape: Shape) => {
    const value = [...start]
    const [n, m] = shape.length < 2 ? [1, shape[0]] : shape.slice(-2)
    const matrices = value.length / (n * m)
    const rows = new Array<number>(matrices * n).fill(0)
    const columns = new Array<number>(matrices * m).fill(0)
    const full = new Array<number>(value.length).fill(0)
    const first = new Array<number>(value.length).fill(0)
    for (let t = 1; t <= steps; t++) {
      const g = gradient(t - 1)
      const beta = Math.min(beta2, 1 - 1 / t ** 0.8)
      const square = (k: number, i: number, j: number) => g[(k * n + i) * m + j] ** 2 + 1e-30
      const direction: number[] = []
      for (let k = 0; k < matrices; k++) {
        for (let i = 0; i < n; i++) {
          let sum = 0
          for (let j = 0; j < m; j++) sum += square(k, i, j)
          rows[k * n + i] = beta * rows[k * n + i] + (1 - beta) * sum
        }
        for (let j = 0; j < m; j++) {
          let sum = 0
          for (let i = 0; i < n; i++) sum += square(k, i, j)
          columns[k * m + j] = beta * columns[k * m + j] + (1 - beta) * sum
        }
        const total = rows.slice(k * n, (k + 1) * n).reduce((a, b) => a + b)
        for (let i = 0; i < n; i++)
          for (let j = 0; j < m; j++) {
            const at = (k * n + i) * m + j
            full[at] = beta * full[at] + (1 - beta) * square(k, i, j)
            const v = shape.length < 2 ? full[at] : (rows[k * n + i] * columns[k * m + j]) / total
            direction.push(g[at] / Math.sqrt(v))
          }
      }
      const shrink = Math.max(1, rms(direction) / clipThreshold)
      const rate = learningRate * (relativeStep ? Math.max(1e-3, rms(value)) : 1)
      for (let i = 0; i < value.length; i++) {
        first[i] = beta1 * first[i] + (1 - beta1) * (direction[i] / shrink)
        value[i] -= rate * weightDecay * value[i] + rate * first[i]
      }
    }
    return value
  }
}

for (const options of [
  {},
  { weightDecay: 0.1 },
  { beta1: 0 },
  { beta2: 0.5, clipThreshold: 0.3 },
  { clipThreshold: Number.POSITIVE_INFINITY },
  { relativeStep: true, weightDecay: 0.2 },
])
  test(`Adafactor ${JSON.stringify(options)} follows its formula, for vectors, matrices and stacks of them`, () => {
    const module = new Loose()
    const optimizer = new Adafactor(module, { learningRate, ...options })
    for (const [actual, expected] of follow(module, optimizer, steps, plainAdafactor(options)))
      assertCloseNumbers(actual, expected, 1e-10)
  })

test('Adafactor keeps a row and a column per matrix, and no first moment without beta1', () => {
  const module = new Loose()
  const optimizer = new Adafactor(module, { beta1: 0 })
  optimizer.step(new Map([...module.namedParameters()]))
  const shapes = [...optimizer.stateDict().tensors].map(([name, { shape }]) => [name, [...shape]])
  assert.deepEqual(Object.fromEntries(shapes), {
    'rows.matrix': [3, 1],
    'columns.matrix': [1, 4],
    'secondMoment.vector': [5],
    'rows.stack': [2, 3, 1],
    'columns.stack': [2, 1, 2],
  })
})

test('a zero gradient changes no parameter and gives finite values', () => {
  for (const make of [
    (m: Loose) => new SGD(m, { momentum: 0.9 }),
    (m: Loose) => new AdamW(m, { weightDecay: 0 }),
    (m: Loose) => new Adafactor(m),
  ]) {
    const module = new Loose()
    const before = module.parameters().map(parameter => [...parameter.dataSync()])
    make(module).step(new Map([...module.namedParameters()].map(([name, p]) => [name, p.mul(0)])))
    assert.deepEqual(
      module.parameters().map(parameter => [...parameter.dataSync()]),
      before,
    )
  }
})

test('the error for a setting out of range names it', () => {
  const module = new Loose()
  assert.throws(() => new SGD(module, { momentum: 1 }), /momentum = 1: must be in \[0, 1\)/)
  assert.throws(() => new SGD(module, { nesterov: true }), /nesterov = true/)
  assert.throws(() => new AdamW(module, { betas: [0.9, -0.1] }), /betas\[1\] = -0.1/)
  assert.throws(() => new AdamW(module, { learningRate: Number.NaN }), /learningRate = NaN/)
  assert.throws(() => new AdamW(module, { weightDecay: -1 }), /weightDecay of matrix = -1/)
  assert.throws(() => new Adafactor(module, { clipThreshold: 0 }), /clipThreshold = 0/)
})
