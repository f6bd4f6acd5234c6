// Each algorithm against its formula in plain numbers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  Adafactor,
  type AdafactorOptions,
  Adagrad,
  Adam,
  AdamW,
  Lion,
  Muon,
  RMSprop,
  type RMSpropOptions,
  SGD,
  type SGDOptions,
} from '../../src/optim/index.ts'
import type { Shape } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { follow, gradientsAt, Loose, numbers, random, type Walk } from './plain.ts'

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

/** The walk of an algorithm that moves each element by itself; `move` gives the new element, and has an object to remember in. */
const elementwise =
  (move: (w: number, g: number, t: number, memory: Record<string, number>) => number): Walk =>
  (start, gradient) =>
    start.map((w, i) => {
      const memory: Record<string, number> = {}
      for (let t = 1; t <= steps; t++) w = move(w, gradient(t - 1)[i], t, memory)
      return w
    })

test('Adam follows its formula, with weight decay in the gradient', () => {
  const [beta1, beta2, epsilon] = [0.8, 0.95, 1e-3]
  for (const weightDecay of [0, 0.3]) {
    const module = new Loose()
    const optimizer = new Adam(module, { learningRate, betas: [beta1, beta2], epsilon, weightDecay })
    const plain = elementwise((w, g, t, memory) => {
      const d = g + weightDecay * w
      memory.m = beta1 * (memory.m ?? 0) + (1 - beta1) * d
      memory.v = beta2 * (memory.v ?? 0) + (1 - beta2) * d * d
      const deviation = Math.sqrt(memory.v / (1 - beta2 ** t))
      return w - (learningRate * (memory.m / (1 - beta1 ** t))) / (deviation + epsilon)
    })
    for (const [actual, expected] of follow(module, optimizer, steps, plain))
      assertCloseNumbers(actual, expected, 1e-12)
  }
})

test('Lion follows its formula', () => {
  const [beta1, beta2, decay] = [0.7, 0.9, 0.3]
  const module = new Loose()
  const optimizer = new Lion(module, { learningRate, betas: [beta1, beta2], weightDecay: decay })
  const plain = elementwise((w, g, _, memory) => {
    const m = memory.m ?? 0
    memory.m = beta2 * m + (1 - beta2) * g
    return (1 - learningRate * decay) * w - learningRate * Math.sign(beta1 * m + (1 - beta1) * g)
  })
  for (const [actual, expected] of follow(module, optimizer, steps, plain)) assertCloseNumbers(actual, expected, 1e-12)
})

for (const options of [{}, { momentum: 0.8 }, { centered: true }, { momentum: 0.9, centered: true, weightDecay: 0.1 }])
  test(`RMSprop ${JSON.stringify(options)} follows its formula`, () => {
    const { momentum = 0, centered = false, weightDecay = 0 }: RMSpropOptions = options
    const [alpha, epsilon] = [0.8, 1e-3]
    const module = new Loose()
    const optimizer = new RMSprop(module, { learningRate, alpha, epsilon, ...options })
    const plain = elementwise((w, g, _, memory) => {
      const d = g + weightDecay * w
      memory.v = alpha * (memory.v ?? 0) + (1 - alpha) * d * d
      memory.m = alpha * (memory.m ?? 0) + (1 - alpha) * d
      const variance = centered ? memory.v - memory.m ** 2 : memory.v
      memory.b = momentum * (memory.b ?? 0) + d / (Math.sqrt(variance) + epsilon)
      return w - learningRate * memory.b
    })
    for (const [actual, expected] of follow(module, optimizer, steps, plain))
      assertCloseNumbers(actual, expected, 1e-12)
  })

test('RMSprop that is centered stays finite where all gradients are equal', () => {
  const module = new Loose()
  const optimizer = new RMSprop(module, { centered: true, alpha: 0.9 })
  for (let step = 0; step < 500; step++) optimizer.step(gradientsAt(module, 0))
  assert.ok(module.parameters().every(parameter => [...parameter.dataSync()].every(Number.isFinite)))
})

test('Adagrad follows its formula', () => {
  const [epsilon, decay] = [1e-3, 0.3]
  const module = new Loose()
  const optimizer = new Adagrad(module, { learningRate, epsilon, weightDecay: decay })
  const plain = elementwise((w, g, _, memory) => {
    const d = g + decay * w
    memory.s = (memory.s ?? 0) + d * d
    return w - (learningRate * d) / (Math.sqrt(memory.s) + epsilon)
  })
  for (const [actual, expected] of follow(module, optimizer, steps, plain)) assertCloseNumbers(actual, expected, 1e-12)
})

test('Muon moves what is no matrix by AdamW, and matrices by steps whose singular values are near 1', () => {
  const [module, twin] = [new Loose(), new Loose()]
  const settings = { learningRate, weightDecay: 0.2, betas: [0.8, 0.9], epsilon: 1e-3 } as const
  const [muon, adamw] = [new Muon(module, settings), new AdamW(twin, settings)]
  const gradient = random([3, 4], 7)
  const before = module.matrix.mul(1 - learningRate * settings.weightDecay)
  const gradients = (of: Loose) =>
    new Map([...gradientsAt(of, 0)].map(([name, g]) => [name, name === 'matrix' ? gradient : g]))
  muon.step(gradients(module))
  adamw.step(gradients(twin))
  assert.deepEqual(numbers(module.vector), numbers(twin.vector))
  assert.deepEqual(numbers(module.stack), numbers(twin.stack))
  assert.deepEqual([...muon.stateDict().tensors.keys()].sort(), [
    'firstMoment.stack',
    'firstMoment.vector',
    'momentum.matrix',
    'secondMoment.stack',
    'secondMoment.vector',
  ])
  // O Oᵀ is near the identity, and O near the gradient
  const step = before.sub(module.matrix).div(learningRate)
  const squares = numbers(step.matmul(step.transpose()))
  squares.forEach((value, i) => {
    const isDiagonal = i % 4 === 0
    assert.ok(isDiagonal ? value > 0.4 && value < 1.6 : Math.abs(value) < 0.6, String(squares))
  })
  assert.ok(numbers(step.mul(gradient).sum())[0] > 0)
})

test('Muon takes a stack that is selected as the matrix [out, rest], and refuses a vector', () => {
  const module = new Loose()
  const before = module.stack.mul(1)
  const muon = new Muon(module.namedParameters(), {
    learningRate,
    weightDecay: 0,
    matrices: name => name === 'stack',
  })
  muon.step(gradientsAt(module, 0))
  const flat = before.sub(module.stack).div(learningRate).reshape([2, 6])
  const [a, b, , d] = numbers(flat.matmul(flat.transpose()))
  assert.ok(a > 0.4 && a < 1.6 && d > 0.4 && d < 1.6 && Math.abs(b) < 0.6)
  assert.throws(
    () => new Muon(module, { matrices: () => true }),
    /Muon: matrices selects vector \[5\], which is no matrix/,
  )
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
    (m: Loose) => new Adam(m),
    (m: Loose) => new Lion(m),
    (m: Loose) => new RMSprop(m, { momentum: 0.9, centered: true }),
    (m: Loose) => new Adagrad(m),
    (m: Loose) => new Muon(m, { weightDecay: 0 }),
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
  assert.throws(() => new Adam(module, { betas: [1, 0.9] }), /betas\[0\] = 1/)
  assert.throws(() => new Adam(module, { epsilon: -1 }), /epsilon = -1/)
  assert.throws(() => new Lion(module, { betas: [0.9, 2] }), /betas\[1\] = 2/)
  assert.throws(() => new RMSprop(module, { alpha: 1 }), /alpha = 1: must be in \[0, 1\)/)
  assert.throws(() => new RMSprop(module, { momentum: -1 }), /momentum = -1/)
  assert.throws(() => new Adagrad(module, { epsilon: -1 }), /epsilon = -1/)
  assert.throws(() => new Muon(module, { momentum: 1 }), /momentum = 1/)
  assert.throws(() => new Muon(module, { iterations: 0 }), /iterations must be a whole number above 0/)
})
