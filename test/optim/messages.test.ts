// The messages for invalid uses of optimizers and schedules.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as library from '../../src/index.ts'
import { Optimizer, type OptimizerOptions, SGD } from '../../src/optim/index.ts'
import type { Tensor } from '../../src/tensor/index.ts'
import '../reference.ts'
import { loose, refuse } from '../loose.ts'
import { Loose as LooseModule } from './plain.ts'

const { Adafactor, AdamW, clipGradients, constant, Linear, lossAndGradients, ones } = loose(library)
const { SGD: Sgd, tensor, warmupCosine, warmupLinear, withoutDecay } = loose(library)

const module = new Linear(2, 3)
const result = () => lossAndGradients(module, () => module.forward(ones([1, 2])).sum())

describe('the options of an optimizer', () => {
  refuse([
    [
      'new AdamW(m, { lr: 0.1 })',
      () => new AdamW(module, { lr: 0.1 }),
      'OptionsError',
      'AdamW: there is no option lr, which was 0.1; the options are learningRate, weightDecay, groups, betas, epsilon and moments; write new AdamW(parameters, { learningRate: 0.1 })',
    ],
    [
      'new AdamW(m, { weight_decay: 0.1 })',
      () => new AdamW(module, { weight_decay: 0.1 }),
      'OptionsError',
      'write new AdamW(parameters, { weightDecay: 0.1 })',
    ],
    [
      'new AdamW(m, { eps: 0.1 })',
      () => new AdamW(module, { eps: 0.1 }),
      'OptionsError',
      'write new AdamW(parameters, { epsilon: 0.1 })',
    ],
    [
      'new AdamW(m, { momentum: 0.9 })',
      () => new AdamW(module, { momentum: 0.9 }),
      'OptionsError',
      'AdamW: there is no option momentum',
    ],
    [
      'new AdamW(m, 0.1)',
      () => new AdamW(module, 0.1),
      'OptionsError',
      'AdamW: options must be an object, not 0.1',
      'write new AdamW(parameters, { learningRate: 0.1 })',
    ],
    [
      "new AdamW(m, { learningRate: '0.1' })",
      () => new AdamW(module, { learningRate: '0.1' }),
      'OptionsError',
      "learningRate must be a number, not '0.1'; write new AdamW(parameters, { learningRate: 0.1 })",
    ],
    [
      'a schedule for a learning rate',
      () => new AdamW(module, { learningRate: constant(0.1) }),
      'OptionsError',
      'learningRate must be a number, not a function',
    ],
    [
      'one beta',
      () => new AdamW(module, { betas: [0.9] }),
      'OptionsError',
      'betas must be two numbers such as [0.9, 0.999], not [0.9]',
    ],
    [
      'new SGD(m, { momentun: 0.9 })',
      () => new Sgd(module, { momentun: 0.9 }),
      'OptionsError',
      'write new SGD(parameters, { momentum: 0.9 })',
    ],
    [
      'new SGD(m, { nesterov: 1 })',
      () => new Sgd(module, { nesterov: 1 }),
      'OptionsError',
      'nesterov must be true or false, not 1',
    ],
    [
      'new Adafactor(m, { betas: [0.9, 0.9] })',
      () => new Adafactor(module, { betas: [0.9, 0.9] }),
      'OptionsError',
      'Adafactor: there is no option betas',
      'write new Adafactor(parameters, { beta1: … })',
    ],
    [
      'a group with lr',
      () => new AdamW(module, { groups: [{ match: () => true, lr: 0.1 }] }),
      'OptionsError',
      'there is no option groups[0].lr, which was 0.1',
      'write new AdamW(parameters, { groups: [{ learningRateFactor: 0.1 }] })',
    ],
    [
      'a group without match',
      () => new AdamW(module, { groups: [{ weightDecay: 0.1 }] }),
      'OptionsError',
      'groups[0].match is missing: it must be a function',
    ],
    [
      'a group for a list',
      () => new AdamW(module, { groups: withoutDecay }),
      'OptionsError',
      'groups must be a list of objects of options',
      'write new AdamW(parameters, { groups: […] })',
    ],
  ])
})

describe('the parameters of an optimizer', () => {
  refuse([
    [
      'new SGD(m.parameters())',
      () => new Sgd(module.parameters()),
      'ArgumentError',
      'SGD: parameters must be pairs of a name and a parameter, not a Parameter [3, 2]',
      'write new SGD(module) or new SGD(module.namedParameters())',
    ],
    [
      'new SGD()',
      () => new Sgd(),
      'ArgumentError',
      'SGD: parameters is missing: it must be a module, or parameters with their names',
    ],
    ['new SGD(x)', () => new Sgd(tensor([1])), 'ArgumentError', 'not a tensor [1]; write new SGD(module)'],
    [
      'new SGD({ lr: 0.1 })',
      () => new Sgd({ lr: 0.1 }),
      'ArgumentError',
      'SGD: parameters must be a module',
      'write new SGD(module)',
    ],
    [
      'a tensor that is not a parameter',
      () => new Sgd([['w', tensor([1])]]),
      'ArgumentError',
      'only a Parameter has a value that changes: write new Parameter(x)',
    ],
  ])
})

describe('a step', () => {
  const sgd = new Sgd(module)
  refuse([
    [
      'optimizer.step()',
      () => sgd.step(),
      'ArgumentError',
      'step: gradients is missing: it must be a Map of gradients by name, as lossAndGradients gives it; write optimizer.step(gradients)',
    ],
    [
      'optimizer.step(loss)',
      () => sgd.step(tensor(1)),
      'ArgumentError',
      'gradients must be a Map of gradients by name, as lossAndGradients gives it, not a tensor []',
    ],
    [
      'optimizer.step({ loss, gradients })',
      () => sgd.step(result()),
      'ArgumentError',
      'write optimizer.step(gradients',
    ],
    [
      'optimizer.step(gradients, { lr: 0.1 })',
      () => sgd.step(result().gradients, { lr: 0.1 }),
      'ArgumentError',
      'learningRate must be a number, not { lr: 0.1 }; write optimizer.step(gradients, 0.1)',
    ],
    [
      'clipGradients({ loss, gradients }, 1)',
      () => clipGradients(result(), 1),
      'ArgumentError',
      'write clipGradients(gradients, 1)',
    ],
    [
      'optimizer.loadStateDict(tensors)',
      () => sgd.loadStateDict(new Map()),
      'ArgumentError',
      'loadStateDict: state must be what stateDict gives, not a Map of 0',
    ],
    [
      'clipGradients(gradients)',
      () => clipGradients(result().gradients),
      'ArgumentError',
      'clipGradients: maximumNorm is missing',
    ],
  ])
})

describe('a schedule', () => {
  refuse([
    [
      'warmupCosine({ peak: 1, steps: 10 })',
      () => warmupCosine({ peak: 1, steps: 10 }),
      'OptionsError',
      'warmupCosine: there is no option steps',
      'write warmupCosine({ total: 10 })',
    ],
    [
      'warmupLinear({ lr: 1, total: 10 })',
      () => warmupLinear({ lr: 1, total: 10 }),
      'OptionsError',
      'write warmupLinear({ peak: 1 })',
    ],
    [
      'warmupCosine({ peak: 1 })',
      () => warmupCosine({ peak: 1 }),
      'OptionsError',
      'total is missing: it must be a number',
    ],
    ['warmupCosine(0.1, 10)', () => warmupCosine(0.1, 10), 'OptionsError', 'options must be an object, not 0.1'],
    ['constant()', () => constant(), 'ArgumentError', 'constant: rate is missing'],
  ])
})

describe('a user-defined algorithm', () => {
  it('can pass all of its options to the base class, which reads its own', () => {
    class Sign extends Optimizer {
      readonly algorithm = 'Sign'
      readonly beta: number
      constructor(parameters: LooseModule, options: OptimizerOptions & { readonly beta?: number }) {
        super(parameters, options)
        this.beta = options.beta ?? 0.9
      }
      protected slotShapes() {
        return {}
      }
      protected update({ value, gradient, learningRate }: { value: Tensor; gradient: Tensor; learningRate: number }) {
        return { value: value.sub(gradient.sign().mul(learningRate)), slots: {} }
      }
    }
    const own = new Sign(new LooseModule(), { learningRate: 0.5, beta: 0.5 })
    assert.deepEqual([own.learningRate, own.beta], [0.5, 0.5])
    assert.throws(() => new Sign(new LooseModule(), { learningRate: -1 }), /learningRate = -1/)
  })

  it('every algorithm takes the common options', () => {
    const optimizer = new SGD(new LooseModule(), {
      learningRate: 0.5,
      weightDecay: 0.1,
      groups: [library.withoutDecay],
    })
    assert.equal(optimizer.learningRate, 0.5)
  })
})
