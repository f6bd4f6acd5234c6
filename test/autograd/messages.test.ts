// The messages for invalid calls of operations and transforms.

import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import * as ops from '../../src/autograd/ops/index.ts'
import * as library from '../../src/index.ts'
import { ArgumentError, OptionsError } from '../../src/tensor/index.ts'
import '../reference.ts'
import { loose, refuse } from '../loose.ts'

const { attention, checkpoint, concat, defineFused, defineOp, dropout, einsum, embedding, grad, gradcheck } =
  loose(library)
const { Generator, hessian, hvp, jacobian, jvp, noGrad, oneHot, scatterAdd, softmax, stack, Tape, tensor } =
  loose(library)
const { valueAndGrad, vjp, where, arange, zeros } = loose(library)

const x = tensor([
  [1, 2, 3],
  [4, 5, 6],
])
const v = tensor([1, 2, 3])
const n = arange(3)
const i = zeros([1, 1, 3, 3])
const margins = [
  [1, 1],
  [0, 0],
]
const ids = (...list: number[]) => tensor(list, { dtype: 'int32' })
const later = Promise.resolve(3)

describe('an option of another library', () => {
  refuse([
    [
      'x.sum({ dim: 1 })',
      () => x.sum({ dim: 1 }),
      'OptionsError',
      'sum: there is no option dim, which was 1; the options are axis and keepDims; write x.sum({ axis: 1 })',
    ],
    [
      'x.sum({ axis: 1, keepdim: true })',
      () => x.sum({ axis: 1, keepdim: true }),
      'OptionsError',
      'write x.sum({ keepDims: true })',
    ],
    ['x.mean({ dims: [0] })', () => x.mean({ dims: [0] }), 'OptionsError', 'write x.mean({ axis: [0] })'],
    ['x.max({ dim: 0 })', () => x.max({ dim: 0 }), 'OptionsError', 'write x.max({ axis: 0 })'],
    ['x.min({ axes: 0 })', () => x.min({ axes: 0 }), 'OptionsError', 'write x.min({ axis: 0 })'],
    ['x.variance({ ddof: 0 })', () => x.variance({ ddof: 0 }), 'OptionsError', 'write x.variance({ correction: 0 })'],
    ['x.logSumExp({ dim: 0 })', () => x.logSumExp({ dim: 0 }), 'OptionsError', 'write x.logSumExp({ axis: 0 })'],
    ['x.norm({ p: 1 })', () => x.norm({ p: 1 }), 'OptionsError', 'write x.norm({ order: 1 })'],
    ['x.argmax({ dim: 1 })', () => x.argmax({ dim: 1 }), 'OptionsError', 'write x.argmax({ axis: 1 })'],
    ['x.cumsum({ dim: 1 })', () => x.cumsum({ dim: 1 }), 'OptionsError', 'write x.cumsum({ axis: 1 })'],
    [
      'x.softmax({ dim: 1 })',
      () => x.softmax({ dim: 1 }),
      'OptionsError',
      'the only option is axis; write x.softmax({ axis: 1 })',
    ],
    ['x.logSoftmax({ dim: 1 })', () => x.logSoftmax({ dim: 1 }), 'OptionsError', 'write x.logSoftmax({ axis: 1 })'],
    [
      'x.layerNorm({ eps: 0.1 })',
      () => x.layerNorm({ eps: 0.1 }),
      'OptionsError',
      'write x.layerNorm({ epsilon: 0.1 })',
    ],
    ['x.layerNorm({ gamma: v })', () => x.layerNorm({ gamma: v }), 'OptionsError', 'write x.layerNorm({ weight: … })'],
    ['x.normalize({ dim: 0 })', () => x.normalize({ dim: 0 }), 'OptionsError', 'write x.normalize({ axis: 0 })'],
    ['x.clamp({ low: 0 })', () => x.clamp({ low: 0 }), 'OptionsError', 'write x.clamp({ min: 0 })'],
    [
      'x.gather(i, { dim: 0 })',
      () => x.gather(ids(0), { dim: 0 }),
      'OptionsError',
      'write x.gather(indices, { axis: 0 })',
    ],
    ['x.take(i, { dim: 0 })', () => x.take(ids(0), { dim: 0 }), 'OptionsError', 'write x.take(indices, { axis: 0 })'],
    [
      'scatterAdd([2], i, v, { dim: 0 })',
      () => scatterAdd([2], ids(0), v, { dim: 0 }),
      'OptionsError',
      'write scatterAdd(shape, indices, updates, { axis: 0 })',
    ],
    [
      'i.maxPool2d({ kernel_size: 2 })',
      () => i.maxPool2d({ kernel_size: 2 }),
      'OptionsError',
      'write x.maxPool2d({ kernel: 2 })',
    ],
    [
      'i.avgPool2d({ poolSize: 2 })',
      () => i.avgPool2d({ poolSize: 2 }),
      'OptionsError',
      'write x.avgPool2d({ kernel: 2 })',
    ],
    ['i.maxPool2d(2)', () => i.maxPool2d(2), 'OptionsError', 'write x.maxPool2d({ kernel: 2 })'],
    [
      'i.conv2d(i, { strides: 2 })',
      () => i.conv2d(i, { strides: 2 }),
      'OptionsError',
      'write x.conv2d(weight, { stride: 2 })',
    ],
    [
      'i.conv2d(i, { pad: 1 })',
      () => i.conv2d(i, { pad: 1 }),
      'OptionsError',
      'write x.conv2d(weight, { padding: 1 })',
    ],
    [
      'i.interpolate({ scaleFactor: 2 })',
      () => i.interpolate({ scaleFactor: 2 }),
      'OptionsError',
      'write x.interpolate({ scale: 2 })',
    ],
    [
      "i.interpolate({ size: 2, mode: 'trilinear' })",
      () => i.interpolate({ size: 2, mode: 'trilinear' }),
      'OptionsError',
      "write x.interpolate({ mode: 'bilinear' })",
    ],
    [
      "x.pad([[1, 1], [0, 0]], { mode: 'edge' })",
      () => x.pad(margins, { mode: 'edge' }),
      'OptionsError',
      "write x.pad(padding, { mode: 'replicate' })",
    ],
    [
      "x.pad([[1, 1], [0, 0]], 'reflect')",
      () => x.pad(margins, 'reflect'),
      'ArgumentError',
      "write x.pad(padding, { mode: 'reflect' })",
    ],
    ['i.unfold({ kernel: 3 })', () => i.unfold({ kernel: 3 }), 'OptionsError', 'write x.unfold({ kernel: [3, 3] })'],
    [
      'x.attention(x, x, { is_causal: true })',
      () => x.attention(x, x, { is_causal: true }),
      'OptionsError',
      'write q.attention(k, v, { causal: true })',
    ],
    [
      'attention(x, x, x, { attn_mask: x })',
      () => attention(x, x, x, { attn_mask: x }),
      'OptionsError',
      'write q.attention(k, v, { mask: … })',
    ],
    [
      'x.crossEntropy(t, { ignore_index: 0 })',
      () => x.crossEntropy(ids(0, 1), { ignore_index: 0 }),
      'OptionsError',
      'write logits.crossEntropy(target, { ignore: 0 })',
    ],
    [
      'x.crossEntropy(t, { label_smoothing: 0.1 })',
      () => x.crossEntropy(ids(0, 1), { label_smoothing: 0.1 }),
      'OptionsError',
      '{ smoothing: 0.1 }',
    ],
    [
      "x.crossEntropy(t, { reduction: 'avg' })",
      () => x.crossEntropy(ids(0, 1), { reduction: 'avg' }),
      'OptionsError',
      "reduction must be 'mean', 'sum' or 'none', not 'avg'",
      "{ reduction: 'mean' }",
    ],
    [
      'x.gelu({ approximate: true })',
      () => x.gelu({ approximate: true }),
      'OptionsError',
      "approximate must be 'none' or 'tanh', not true; write x.gelu({ approximate: 'tanh' })",
    ],
    [
      'dropout(x, 0.5, { seed: 3 })',
      () => dropout(x, 0.5, { seed: 3 }),
      'OptionsError',
      'the only option is generator',
    ],
    ['x.slice([{ end: 1 }])', () => x.slice([{ end: 1 }]), 'OptionsError', 'write x.slice([{ stop: 1 }])'],
    [
      'grad(f, { argnums: 0 })',
      () => grad((y: unknown) => y, { argnums: 0 }),
      'OptionsError',
      'write grad(f, { wrt: 0 })',
    ],
    [
      'gradcheck(f, [x], { epsilon: 0.1 })',
      () => gradcheck((y: unknown) => y, [x], { epsilon: 0.1 }),
      'OptionsError',
      'write gradcheck(f, inputs, { eps: 0.1 })',
    ],
    [
      "gradcheck(f, [x], { mode: 'both' })",
      () => gradcheck((y: unknown) => y, [x], { mode: 'both' }),
      'OptionsError',
      "mode must be 'projection' or 'jacobian', not 'both'",
    ],
    [
      'defineFused(name, { forward })',
      () => defineFused('f', { forward: () => x }),
      'OptionsError',
      'defineFused: there is no option forward',
    ],
  ])
})

describe('an option of another kind', () => {
  refuse([
    [
      "x.sum({ axis: '1' })",
      () => x.sum({ axis: '1' }),
      'OptionsError',
      "axis must be an axis or a list of axes, not '1'",
    ],
    [
      'x.sum({ axis: 1, keepDims: 1 })',
      () => x.sum({ axis: 1, keepDims: 1 }),
      'OptionsError',
      'keepDims must be true or false, not 1',
    ],
    [
      'x.softmax({ axis: [0, 1] })',
      () => x.softmax({ axis: [0, 1] }),
      'OptionsError',
      'axis must be a number, not [0, 1]',
    ],
    [
      'x.layerNorm({ weight: [1, 1, 1] })',
      () => x.layerNorm({ weight: [1, 1, 1] }),
      'OptionsError',
      'weight must be a tensor, not [1, 1, 1]; write x.layerNorm({ weight: tensor([1, 1, 1]) })',
    ],
    [
      'x.attention(x, x, { mask: [true] })',
      () => x.attention(x, x, { mask: [true] }),
      'OptionsError',
      'mask must be a tensor, not [true]',
    ],
    [
      'x.attention(x, x, { mask: x })',
      () => x.attention(x, x, { mask: x }),
      'DTypeError',
      'the mask must be bool',
      "write mask.cast('bool')",
    ],
  ])
})

describe('another value instead of options', () => {
  refuse([
    ['x.sum(1)', () => x.sum(1), 'OptionsError', 'sum: options must be an object, not 1', 'write x.sum({ axis: 1 })'],
    ['x.sum([0, 1])', () => x.sum([0, 1]), 'OptionsError', 'write x.sum({ axis: [0, 1] })'],
    ['x.sum(1, 2)', () => x.sum(1, 2), 'OptionsError', 'write x.sum({ axis: 1 })'],
    ['x.sum(null)', () => x.sum(null), 'OptionsError', 'options must be an object, not null'],
    ['x.sum(x)', () => x.sum(x), 'OptionsError', 'options must be an object, not a tensor [2, 3]'],
    ['x.softmax(0)', () => x.softmax(0), 'OptionsError', 'write x.softmax({ axis: 0 })'],
    ['x.argmax(1)', () => x.argmax(1), 'OptionsError', 'write x.argmax({ axis: 1 })'],
    ["x.gelu('tanh')", () => x.gelu('tanh'), 'OptionsError', "write x.gelu({ approximate: 'tanh' })"],
    ['x.clamp(0, 1)', () => x.clamp(0, 1), 'OptionsError', 'write x.clamp({ min: 0 })'],
    [
      "x.crossEntropy(t, 'sum')",
      () => x.crossEntropy(ids(0, 1), 'sum'),
      'OptionsError',
      "write logits.crossEntropy(target, { reduction: 'sum' })",
    ],
    ['grad(f, 0)', () => grad((y: unknown) => y, 0), 'OptionsError', 'write grad(f, { wrt: 0 })'],
    [
      'gradcheck(f, [x], 2)',
      () => gradcheck((y: unknown) => y, [x], 2),
      'OptionsError',
      'write gradcheck(f, inputs, { order: 2 })',
    ],
    [
      'dropout(x, 0.5, generator)',
      () => dropout(x, 0.5, new Generator(1)),
      'OptionsError',
      'options must be an object, not a Generator',
    ],
  ])
})

describe('an argument of another kind', () => {
  refuse([
    [
      'x.add([1, 2, 3])',
      () => x.add([1, 2, 3]),
      'ArgumentError',
      'add: y must be a tensor or a number, not [1, 2, 3]; write x.add(tensor([1, 2, 3]))',
    ],
    [
      'x.mul(promise)',
      () => x.mul(later),
      'ArgumentError',
      'mul: y must be a tensor or a number, not a Promise; write x.mul(await y)',
    ],
    ["x.add('1')", () => x.add('1'), 'ArgumentError', "not '1'; write x.add(1)"],
    ['x.add()', () => x.add(), 'ArgumentError', 'add: y is missing: it must be a tensor or a number; write x.add(y)'],
    [
      'x.add(y, z)',
      () => x.add(v, v),
      'ArgumentError',
      'add: one argument too many, a tensor [3]; it is called as x.add(y)',
    ],
    ['x.greater([1])', () => x.greater([1]), 'ArgumentError', 'write x.greater(tensor([1]))'],
    ['x.exp(2)', () => x.exp(2), 'ArgumentError', 'exp: one argument too many, 2; it is called as x.exp()'],
    ['x.matmul(3)', () => x.matmul(3), 'ArgumentError', 'matmul: y must be a tensor, not 3'],
    [
      'x.matmul([[1], [2], [3]])',
      () => x.matmul([[1], [2], [3]]),
      'ArgumentError',
      'write x.matmul(tensor([[1], [2], [3]]))',
    ],
    [
      'x.reshape(3, 2)',
      () => x.reshape(3, 2),
      'ArgumentError',
      'reshape: shape must be a list of sizes such as [2, 3], not 3; write x.reshape([3, 2])',
    ],
    ['x.reshape(6)', () => x.reshape(6), 'ArgumentError', 'write x.reshape([6])'],
    ['x.expand(2, 2, 3)', () => x.expand(2, 2, 3), 'ArgumentError', 'write x.expand([2, 2, 3])'],
    [
      'x.permute(1, 0)',
      () => x.permute(1, 0),
      'ArgumentError',
      'permute: order must be a list of axes such as [1, 0], not 1; write x.permute([1, 0])',
    ],
    ['x.transpose([1, 0])', () => x.transpose([1, 0]), 'ArgumentError', 'write x.transpose(1, 0)'],
    [
      'x.slice(0, 1)',
      () => x.slice(0, 1),
      'ArgumentError',
      'ranges must be a list of positions and ranges',
      'write x.slice([{ start: 0, stop: 1 }])',
    ],
    ['x.slice(0)', () => x.slice(0), 'ArgumentError', 'write x.slice([0])'],
    ['x.slice([[0, 1]])', () => x.slice([[0, 1]]), 'ArgumentError', 'write x.slice([{ start: 0, stop: 1 }])'],
    ["x.slice([':', 0])", () => x.slice([':', 0]), 'ArgumentError', 'write x.slice([{}, 0])'],
    ['x.slice({ start: 1 })', () => x.slice({ start: 1 }), 'ArgumentError', 'write x.slice([{ start: 1 }])'],
    [
      'x.pad(1)',
      () => x.pad(1),
      'ArgumentError',
      'padding must be a list of [before, after], a pair for each axis, not 1',
    ],
    ['x.pad([1, 1])', () => x.pad([1, 1]), 'ArgumentError', 'write x.pad([[1, 1]])'],
    [
      'x.pad([[1, 1]])',
      () => x.pad([[1, 1]]),
      'ShapeError',
      'pad: [[1,1]] must have one [before, after], 0 or more, for each axis of [2, 3]',
    ],
    ['x.split(2, { axis: 1 })', () => x.split(2, { axis: 1 }), 'ArgumentError', 'write x.split(2, 1)'],
    [
      'x.unsqueeze()',
      () => x.unsqueeze(),
      'ArgumentError',
      'unsqueeze: axis is missing: it must be a whole number; write x.unsqueeze(axis)',
    ],
    ['x.flip()', () => x.flip(), 'ArgumentError', 'flip: axis is missing'],
    [
      "x.cast('float16')",
      () => x.cast('float16'),
      'ArgumentError',
      "dtype must be 'float32', 'float64', 'int32' or 'bool', not 'float16'; write x.cast('float32')",
    ],
    ["x.cast('long')", () => x.cast('long'), 'ArgumentError', "write x.cast('int32')"],
    ["x.cast({ dtype: 'int32' })", () => x.cast({ dtype: 'int32' }), 'ArgumentError', "write x.cast('int32')"],
    [
      'concat(x, y)',
      () => concat(x, x),
      'ArgumentError',
      'concat: xs must be a list of tensors, not a tensor [2, 3]; write concat([x, y])',
    ],
    ['concat([x, x], { axis: 1 })', () => concat([x, x], { axis: 1 }), 'ArgumentError', 'write concat(xs, 1)'],
    ['concat([x, [1]])', () => concat([x, [1]]), 'ArgumentError', 'not [a tensor [2, 3], [1]]'],
    ['stack(x, y, 1)', () => stack(x, x, 1), 'ArgumentError', 'write stack([x, y], 1)'],
    [
      'stack([x, v])',
      () => stack([x, v]),
      'ShapeError',
      'stack: tensors must have the same shape, not [2, 3] and [3]',
      'concat',
    ],
    [
      'where(x, [1], 0)',
      () => where(x, [1], 0),
      'ArgumentError',
      'where: x must be a tensor or a number, not [1]; write where(condition, tensor([1]), 0)',
    ],
    [
      'softmax([1, 2])',
      () => softmax([1, 2]),
      'ArgumentError',
      'softmax: x must be a tensor, not [1, 2]; write tensor([1, 2]).softmax()',
    ],
    ['einsum(x, y)', () => einsum(x, v), 'ArgumentError', 'einsum: equation must be a string, not a tensor [2, 3]'],
    ["einsum('ij,j', [x, v])", () => einsum('ij,j', [x, v]), 'ArgumentError', "write einsum('ij,j', ...xs)"],
    ['dropout(x)', () => dropout(x), 'ArgumentError', 'dropout: p is missing'],
    ['dropout(x, { rate: 0.5 })', () => dropout(x, { rate: 0.5 }), 'ArgumentError', 'write dropout(x, 0.5)'],
    [
      'dropout of integers',
      () => dropout(n, 0.5),
      'DTypeError',
      'dropout: x must be floating, not int32',
      "write x.cast('float32')",
    ],
    ['x.linear([[1, 2, 3]])', () => x.linear([[1, 2, 3]]), 'ArgumentError', 'write x.linear(tensor([[1, 2, 3]]))'],
    ['x.attention(x)', () => x.attention(x), 'ArgumentError', 'attention: v is missing'],
  ])
})

describe('indices', () => {
  refuse([
    [
      'x.gather([0])',
      () => x.gather([0]),
      'ArgumentError',
      "gather: indices must be an int32 tensor, not [0]; write x.gather(tensor([0], { dtype: 'int32' }))",
    ],
    [
      'embedding(w, [0, 1])',
      () => embedding(x, [0, 1]),
      'ArgumentError',
      "write embedding(weight, tensor([0, 1], { dtype: 'int32' }))",
    ],
    [
      'oneHot([0, 1], 2)',
      () => oneHot([0, 1], 2),
      'ArgumentError',
      "write oneHot(tensor([0, 1], { dtype: 'int32' }), 2)",
    ],
    [
      'x.take(floats)',
      () => x.take(v),
      'DTypeError',
      "take: indices must be int32, not float32; write indices.cast('int32')",
    ],
    [
      'embedding(w, floats)',
      () => embedding(x, v),
      'DTypeError',
      "embedding: ids must be int32, not float32; write ids.cast('int32')",
    ],
    [
      'class ids as floats',
      () => x.crossEntropy(tensor([0, 1])),
      'DTypeError',
      "crossEntropy: target must be int32, not float32; write target.cast('int32')",
    ],
    [
      'x.crossEntropy([0, 1])',
      () => x.crossEntropy([0, 1]),
      'ArgumentError',
      'crossEntropy: target must be an int32 tensor, not [0, 1]',
    ],
    [
      'probabilities of another shape',
      () => x.crossEntropy(v),
      'ShapeError',
      'crossEntropy: probabilities [3] must be [2, 3] for logits [2, 3]',
    ],
    ['embedding beyond the table', () => embedding(x, ids(7)), 'IndexError', 'embedding: index 7 is outside of 0 … 1'],
    ['take beyond the axis', () => x.take(ids(7)), 'IndexError', 'take: index 7 is outside of 0 … 1'],
    ['gather beyond the axis', () => v.gather(ids(7)), 'IndexError', 'gather: index 7 is outside of 0 … 2'],
    [
      'scatterAdd beyond the axis',
      () => scatterAdd([2], ids(7), tensor([1])),
      'IndexError',
      'scatterAdd: index 7 is outside of 0 … 1',
    ],
    [
      'a class that there is not',
      () => x.crossEntropy(ids(0, 7)),
      'IndexError',
      'crossEntropy: index 7 is outside of 0 … 2',
    ],
    [
      'x.mean({ axis: 5 })',
      () => x.mean({ axis: 5 }),
      'AxisError',
      'mean: [2, 3] has no axis 5: its axes are 0 … 1, or -2 … -1 from the end',
    ],
    ['x.variance({ axis: 5 })', () => x.variance({ axis: 5 }), 'AxisError', 'variance: [2, 3] has no axis 5'],
    ['x.normalize({ axis: 5 })', () => x.normalize({ axis: 5 }), 'AxisError', 'normalize: [2, 3] has no axis 5'],
  ])
})

describe('a transform', () => {
  const f = (y: typeof x) => y.square().sum()
  const product = (y: typeof x, k: typeof x) => y.mul(k)
  refuse([
    [
      'grad(f)(integers)',
      () => grad(f)(n),
      'GradientError',
      'grad: argument 0 is int32, and only floating tensors have gradients',
      "write x.cast('float32')",
    ],
    [
      'grad(f, { wrt: 1 })(x, integers)',
      () => grad(product, { wrt: 1 })(v, n),
      'GradientError',
      'grad: argument 1 is int32',
    ],
    ['valueAndGrad(f)(integers)', () => valueAndGrad(f)(n), 'GradientError', 'valueAndGrad: argument 0 is int32'],
    ['hessian(f)(integers)', () => hessian(f)(n), 'GradientError', 'hessian: argument 0 is int32'],
    ['jacobian(f)(integers)', () => jacobian(f)(n), 'GradientError', 'jacobian: argument 0 is int32'],
    ['vjp(f, integers)', () => vjp(f, n), 'GradientError', 'vjp: input 0 is int32'],
    ['grad(f)(3)', () => grad(f)(3), 'ArgumentError', 'grad: argument 0 must be a tensor, not 3; write tensor(3)'],
    ['grad(f)([1, 2])', () => grad(f)([1, 2]), 'ArgumentError', 'write tensor([1, 2])'],
    [
      'grad(f)(promise)',
      () => grad(f)(later),
      'ArgumentError',
      'grad: argument 0 must be a tensor, not a Promise; write await',
    ],
    [
      'grad(f)()',
      () => grad(f)(),
      'RangeError',
      'grad: wrt must be the position of one of 0 arguments, counted from 0, not 0',
    ],
    [
      'grad(f, x)',
      () => grad(f, x),
      'ArgumentError',
      'grad(f, options) returns a function, which takes the tensors; write grad(f)(x)',
    ],
    ['grad(x)', () => grad(x), 'ArgumentError', 'grad: f must be a function, not a tensor [2, 3]'],
    [
      'a function that returns nothing',
      () => grad(() => undefined)(x),
      'ArgumentError',
      'grad: f returned undefined, and must return one tensor: return the result',
    ],
    [
      'a function that returns a number',
      () => grad(() => 3)(x),
      'ArgumentError',
      'grad: f returned 3',
      'without reading their values',
    ],
    [
      'a function that returns a list',
      () => grad((y: unknown) => [y])(x),
      'ArgumentError',
      'grad: f returned [a tensor [2, 3]]',
      'join them with concat',
    ],
    [
      'an async function',
      () => grad(async (y: unknown) => y)(x),
      'ArgumentError',
      'grad: f returned a Promise',
      'must not be async',
    ],
    [
      'a function that returns nothing to vjp',
      () => vjp(() => undefined, x),
      'ArgumentError',
      'vjp: f returned undefined',
    ],
    [
      'a function that returns nothing to checkpoint',
      () => checkpoint(() => undefined)(x),
      'ArgumentError',
      'checkpoint: f returned undefined',
    ],
    [
      'hessian(f, { wrt: [0, 1] })',
      () => hessian(f, { wrt: [0, 1] }),
      'ArgumentError',
      'hessian: wrt must be one position, not [0, 1]; write hessian(f, { wrt: 0 })',
    ],
    [
      'a vector for a result of no gradient',
      () => jvp((y: typeof x) => y.greater(0), [x], [x]),
      'GradientError',
      'the result is bool, and only floating results have gradients',
    ],
    [
      'a pullback of nothing',
      () => (vjp(f, x) as unknown as (() => void)[])[1](),
      'ArgumentError',
      'pullback: v is missing',
    ],
    [
      'jvp(f, x, v)',
      () => jvp(f, x, x),
      'ArgumentError',
      'jvp: inputs must be a list of tensors, not a tensor [2, 3]; write jvp(f, [x], tangents)',
    ],
    [
      'hvp(f, [x], v)',
      () => hvp(f, [x], x),
      'ArgumentError',
      'hvp: vectors must be a list of tensors',
      'write hvp(f, inputs, [x])',
    ],
    ['checkpoint(x)', () => checkpoint(x), 'ArgumentError', 'write checkpoint(() => …)'],
    ['noGrad(x)', () => noGrad(x), 'ArgumentError', 'write noGrad(() => …)'],
    [
      'gradcheck(f, x)',
      () => gradcheck(f, x),
      'ArgumentError',
      'gradcheck: inputs must be a list of tensors, not a tensor [2, 3]; write gradcheck(f, [x])',
    ],
  ])
})

describe('a tape', () => {
  const tape = new Tape()
  refuse([
    ['tape.watch(integers)', () => tape.watch(n), 'GradientError', 'watch: x is int32', "x.cast('float32')"],
    ['tape.watch(3)', () => tape.watch(3), 'ArgumentError', 'watch: x must be a tensor, not 3'],
    ['tape.run(x)', () => tape.run(x), 'ArgumentError', 'write tape.run(() => …)'],
    [
      'tape.gradient(loss, x)',
      () => tape.gradient(x, x),
      'ArgumentError',
      'gradient: inputs must be a list of tensors',
      'write tape.gradient(result, [x])',
    ],
    ['tape.gradient(loss)', () => tape.gradient(x), 'ArgumentError', 'gradient: inputs is missing'],
    ['tape.gradient(3, [x])', () => tape.gradient(3, [x]), 'ArgumentError', 'gradient: result must be a tensor, not 3'],
  ])
})

describe('a user-defined operation', () => {
  type Kernels = { unary(name: string, y: unknown): unknown }
  const exp = (k: Kernels, y: unknown) => k.unary('exp', y)
  const through = (rule: unknown) => grad((y: unknown) => defineOp('mine', exp, rule)(y).sum())(x)
  refuse([
    ['defineOp(f)', () => defineOp(exp), 'ArgumentError', 'defineOp: name must be a string'],
    ['a call with nothing', () => defineOp('mine', exp)(), 'ArgumentError', 'mine: needs a tensor among its arguments'],
    [
      'a call with a list',
      () => defineOp('mine', exp)([1, 2]),
      'ArgumentError',
      'mine: needs a tensor among its arguments, not [1, 2]; write tensor([1, 2])',
    ],
    [
      'a call with a Promise',
      () => defineOp('mine', exp)(later),
      'ArgumentError',
      'mine: an argument is a Promise; await it first',
    ],
    [
      'a forward that gives a number',
      () => defineOp('mine', () => 3)(x),
      'ArgumentError',
      'mine: the result must be a tensor, not 3',
    ],
    [
      'a definition that gives nothing',
      () => defineFused('mine', { definition: () => undefined })(x),
      'ArgumentError',
      'mine: the result must be a tensor, not undefined',
    ],
    [
      'a rule that gives a tensor',
      () => through((g: unknown) => g),
      'GradientError',
      'mine: the rule returned a tensor [2, 3]',
      '[() => gradient.mul(2)]',
    ],
    [
      'a rule that gives tensors',
      () => through((g: unknown) => [g]),
      'GradientError',
      'mine: the rule returned [a tensor [2, 3]]',
    ],
    [
      'a thunk that gives a number',
      () => through(() => [() => 3]),
      'GradientError',
      'mine: the gradient of argument 0 must be a tensor, not 3',
    ],
  ])
})

describe('every operation', () => {
  const operations = Object.entries(ops).flatMap(([name, f]) =>
    typeof f === 'function' ? [[name, loose(f)] as const] : [],
  )
  const isOurs = (error: unknown): error is ArgumentError | OptionsError =>
    error instanceof ArgumentError || error instanceof OptionsError
  const variadic = ['at', 'broadcast', 'einsum']

  for (const [name, f] of operations) {
    if (!variadic.includes(name))
      it(`${name} throws for too many arguments`, () => {
        assert.throws(() => f(v, v, v, v, v, v, v, v), isOurs)
      })

    it(`${name} throws for a list, a Promise, a string or undefined instead of a tensor, and names itself`, () => {
      for (const wrong of [[1, 2], later, 'a', undefined]) {
        if (wrong === undefined && name === 'broadcast') continue
        assert.throws(
          () => f(wrong, wrong, wrong),
          (error: unknown) => {
            assert.ok(isOurs(error), `${error}`)
            assert.equal(error.function, name)
            return true
          },
        )
      }
    })

    it(`${name} keeps its name`, () => assert.equal((f as unknown as { name: string }).name, name))
  }
})

test('printing does not throw', () => {
  const y = zeros([1])
  assert.equal(`${y}`, String(y))
  assert.match(`a ${y}`, /^a Tensor \[1\]/)
})
