// The options of checks and of arbitraries are checked themselves.

import { describe } from 'node:test'
import { tensor as tensorOf } from '../../src/tensor/index.ts'
import * as library from '../../src/testing/index.ts'
import '../reference.ts'
import { loose, refuse } from '../loose.ts'

const { axes, broadcastShapes, checkCheckpoint, checkDevice, checkGradients, checkLaws, checkLayout } = loose(library)
const { checkSame, describeOperation, einsumSpec, expression, matmulShapes, permutation, shape, slices } =
  loose(library)
const { tensor, tensors } = loose(library)

const f = (x: unknown) => x
const xs = [tensorOf([1, 2])]

describe('options of', () => {
  refuse([
    [
      'tensor({ away: [0] })',
      () => tensor({ away: [0] }),
      'OptionsError',
      'tensor: there is no option away',
      'dtype, domain, awayFrom, distinct and shape',
    ],
    [
      "tensor({ dtype: 'float' })",
      () => tensor({ dtype: 'float' }),
      'OptionsError',
      "write tensor({ dtype: 'float32' })",
    ],
    ['tensor([2, 3])', () => tensor([2, 3]), 'OptionsError', 'tensor: options must be an object, not [2, 3]'],
    [
      'tensors(shapes, { domian: [0, 1] })',
      () => tensors(shape(), { domian: [0, 1] }),
      'OptionsError',
      'domian',
      '{ domain: [0, 1] }',
    ],
    ['shape({ rank: 2 })', () => shape({ rank: 2 }), 'OptionsError', 'shape: there is no option rank'],
    [
      'broadcastShapes(2, { maxrank: 2 })',
      () => broadcastShapes(2, { maxrank: 2 }),
      'OptionsError',
      'write broadcastShapes(count, { maxRank: 2 })',
    ],
    [
      'matmulShapes({ max_rank: 2 })',
      () => matmulShapes({ max_rank: 2 }),
      'OptionsError',
      'write matmulShapes({ maxRank: 2 })',
    ],
    ['axes({ max_rank: 2 })', () => axes({ max_rank: 2 }), 'OptionsError', 'write axes({ maxRank: 2 })'],
    [
      'permutation({ max_rank: 2 })',
      () => permutation({ max_rank: 2 }),
      'OptionsError',
      'write permutation({ maxRank: 2 })',
    ],
    ['slices({ max_size: 2 })', () => slices({ max_size: 2 }), 'OptionsError', 'write slices({ maxSize: 2 })'],
    [
      'einsumSpec({ max_size: 2 })',
      () => einsumSpec({ max_size: 2 }),
      'OptionsError',
      'write einsumSpec({ maxSize: 2 })',
    ],
    [
      'expression({ steps: 2 })',
      () => expression({ steps: 2 }),
      'OptionsError',
      'expression: there is no option steps',
    ],
    [
      'checkSame(f, f, xs, { tol: 1 })',
      () => checkSame(f, f, xs, { tol: 1 }),
      'OptionsError',
      'checkSame: there is no option tol',
    ],
    [
      'checkCheckpoint(f, xs, { tolerance: 1 })',
      () => checkCheckpoint(f, xs, { tolerance: 1 }),
      'OptionsError',
      'checkCheckpoint: there is no option tolerance',
    ],
    [
      'checkLayout(f, xs, { gradient: false })',
      () => checkLayout(f, xs, { gradient: false }),
      'OptionsError',
      'write checkLayout(f, inputs, { gradients: false })',
    ],
    [
      "checkDevice(f, xs, 'cpu', { gradient: false })",
      () => checkDevice(f, xs, 'cpu', { gradient: false }),
      'OptionsError',
      '{ gradients: false }',
    ],
    [
      'checkLaws(f, xs, { odrer: 1 })',
      () => checkLaws(f, xs, { odrer: 1 }),
      'OptionsError',
      'write checkLaws(f, inputs, { order: 1 })',
    ],
    [
      'checkGradients(f, xs, { epsilon: 1 })',
      () => checkGradients(f, xs, { epsilon: 1 }),
      'OptionsError',
      '{ eps: 1 }',
    ],
    ['checkSame(f, xs)', () => checkSame(f, xs), 'ArgumentError', 'checkSame: expected must be a function'],
    [
      'checkLayout(f, x)',
      () => checkLayout(f, xs[0]),
      'ArgumentError',
      'checkLayout: inputs must be a list of tensors, not a tensor [2]; write checkLayout(f, [x])',
    ],
    [
      'describeOperation(f, { runs: 5 })',
      () => describeOperation(f, { runs: 5 }),
      'OptionsError',
      'write describeOperation(op, { numRuns: 5 })',
    ],
    [
      "describeOperation(f, { device: 'cpu' })",
      () => describeOperation(f, { device: 'cpu' }),
      'OptionsError',
      'there is no option device',
      'devices',
    ],
    [
      "describeOperation('f')",
      () => describeOperation('f'),
      'ArgumentError',
      "describeOperation: op must be a function, not 'f'",
    ],
  ])
})
