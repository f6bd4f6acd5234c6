// The messages for invalid ways to make a tensor.

import { describe } from 'node:test'
import * as library from '../../src/index.ts'
import '../reference.ts'
import { loose, refuse } from '../loose.ts'

const { arange, device, eye, fromData, fromNdarray, full, Generator, keep, linspace, ones, rand, randint, randn } =
  loose(library)
const { scope, seed, tensor, toDevice, toNdarray, zeros, zerosLike } = loose(library)

describe('making tensors', () => {
  refuse([
    [
      'zeros(2, 3)',
      () => zeros(2, 3),
      'ArgumentError',
      'zeros: shape must be a list of sizes such as [2, 3], not 2; write zeros([2, 3])',
    ],
    ['zeros()', () => zeros(), 'ArgumentError', 'zeros: shape is missing'],
    ['zeros([2], 3)', () => zeros([2], 3), 'OptionsError', 'zeros: options must be an object, not 3'],
    ["zeros([2], 'int32')", () => zeros([2], 'int32'), 'OptionsError', "write zeros(shape, { dtype: 'int32' })"],
    [
      "ones([2], { type: 'int' })",
      () => ones([2], { type: 'int' }),
      'OptionsError',
      'there is no option type',
      "write ones(shape, { dtype: 'int32' })",
    ],
    [
      "zeros([2], { dtype: 'float16' })",
      () => zeros([2], { dtype: 'float16' }),
      'OptionsError',
      "dtype must be 'float32', 'float64', 'int32' or 'bool', not 'float16'",
      "write zeros(shape, { dtype: 'float32' })",
    ],
    [
      "zeros(['2'])",
      () => zeros(['2']),
      'ArgumentError',
      "zeros: shape must be a list of sizes such as [2, 3], not ['2']",
    ],
    [
      "zeros([2], { device: 'cuda' })",
      () => zeros([2], { device: 'cuda' }),
      'DeviceError',
      "there is no device 'cuda'; the devices are reference, cpu, gpu; write 'gpu'",
    ],
    [
      'zeros([2], [3], {})',
      () => zeros([2], {}, 3),
      'ArgumentError',
      'zeros: one argument too many, 3; it is called as zeros(shape, options)',
    ],
    ['zerosLike([1])', () => zerosLike([1]), 'ArgumentError', 'zerosLike: x must be a tensor, not [1]'],
    ['full(2, 3, 4)', () => full(2, 3, 4), 'ArgumentError', 'write full([2, 3, 4])'],
    [
      "full([2], '1')",
      () => full([2], '1'),
      'ArgumentError',
      "full: value must be a number, not '1'; write full(shape, 1)",
    ],
    [
      "arange(0, 10, { dtype: 'float32' })",
      () => arange(0, 10, { dtype: 'float32' }),
      'ArgumentError',
      'step must be a number',
      "write arange(0, 10, undefined, { dtype: 'float32' })",
    ],
    [
      'arange(5, { step: 2 })',
      () => arange(5, { step: 2 }),
      'ArgumentError',
      'stop must be a number',
      'write arange(5, undefined, 2)',
    ],
    ['arange()', () => arange(), 'ArgumentError', 'arange: start is missing'],
    [
      "eye(3, { dtype: 'bool' })",
      () => eye(3, { dtype: 'bool' }),
      'ArgumentError',
      'm must be a whole number',
      "write eye(3, undefined, { dtype: 'bool' })",
    ],
    [
      'eye([3, 3])',
      () => eye([3, 3]),
      'ArgumentError',
      'eye: n must be a whole number, 0 or more, not [3, 3]; write eye(3, 3)',
    ],
    ['linspace(0, 1)', () => linspace(0, 1), 'ArgumentError', 'n is missing', 'write linspace(0, 1, n)'],
    ['randn(2, 3)', () => randn(2, 3), 'ArgumentError', 'write randn([2, 3])'],
    ['randn(x)', () => randn(zeros([2, 3])), 'ArgumentError', 'not a tensor [2, 3]; write randn([2, 3])'],
    [
      'randn([2], { seed: 1 })',
      () => randn([2], { seed: 1 }),
      'OptionsError',
      'there is no option seed',
      'write randn(shape, { generator: … })',
    ],
    [
      'randn([2], new Generator(1))',
      () => randn([2], new Generator(1)),
      'OptionsError',
      'options must be an object, not a Generator',
      'write randn(shape, { generator: … })',
    ],
    [
      "rand([2], { dtype: 'int32' })",
      () => rand([2], { dtype: 'int32' }),
      'DTypeError',
      'rand: the dtype must be float32 or float64, not int32; write randint(low, high, shape)',
    ],
    [
      'rand([2], { min: 1, max: 2 })',
      () => rand([2], { min: 1, max: 2 }),
      'OptionsError',
      'no option min',
      'write rand(shape, { low: 1 })',
    ],
    [
      'randint(10, [3])',
      () => randint(10, [3]),
      'ArgumentError',
      'high must be a whole number, not [3]; it is called as randint(low, high, shape, options)',
    ],
    ['randint(3, 3, [2])', () => randint(3, 3, [2]), 'RangeError', 'randint: high must be above low, not 3 and 3'],
    ['keep([1])', () => keep([1]), 'TypeError', 'keep: the argument must be a tensor'],
    ['generator.fork()', () => new Generator(1).fork(), 'ArgumentError', 'fork: purpose is missing'],
    ['seed()', () => seed(), 'ArgumentError', 'seed: value is missing'],
    [
      'scope(x)',
      () => scope(zeros([1])),
      'ArgumentError',
      'scope: f must be a function, not a tensor [1]',
      'write scope(() => …)',
    ],
  ])
})

describe('tensor', () => {
  refuse([
    ['tensor()', () => tensor(), 'ArgumentError', 'tensor: data is missing'],
    [
      "tensor('abc')",
      () => tensor('abc'),
      'ArgumentError',
      "tensor: data must be numbers or booleans, nested lists of them, or a typed array, not 'abc'",
    ],
    [
      'tensor(new ArrayBuffer(4))',
      () => tensor(new ArrayBuffer(4)),
      'ArgumentError',
      'write tensor(new Uint8Array(buffer))',
    ],
    ['tensor(new Set([1]))', () => tensor(new Set([1])), 'ArgumentError', 'not a Set of 1; write tensor([...set])'],
    ['tensor(promise)', () => tensor(Promise.resolve([1])), 'ArgumentError', 'write tensor(await data)'],
    ['tensor([1, 2], [2])', () => tensor([1, 2], [2]), 'OptionsError', 'write tensor(data, { shape: [2] })'],
    ["tensor([1], 'int32')", () => tensor([1], 'int32'), 'OptionsError', "write tensor(data, { dtype: 'int32' })"],
    [
      "tensor([1], { dtype: 'long' })",
      () => tensor([1], { dtype: 'long' }),
      'OptionsError',
      "write tensor(data, { dtype: 'int32' })",
    ],
    [
      'tensor([1], { requiresGrad: true })',
      () => tensor([1], { requiresGrad: true }),
      'OptionsError',
      'there is no option requiresGrad',
      'grad(f)(x)',
      'new Tape().watch(x)',
    ],
    ['tensor([1], { requires_grad: true })', () => tensor([1], { requires_grad: true }), 'OptionsError', 'grad(f)(x)'],
    [
      'fromData([1, 2], [2])',
      () => fromData([1, 2], [2]),
      'ArgumentError',
      'data must be a typed array, not [1, 2]',
      'write fromData(Float32Array.from([1, 2]), shape)',
    ],
    [
      "fromData(data, [2], 'cpu')",
      () => fromData(new Float32Array(2), [2], 'cpu'),
      'ArgumentError',
      "write fromData(data, shape, device.get('cpu'))",
    ],
    ['fromNdarray([1])', () => fromNdarray([1]), 'ArgumentError', 'fromNdarray: array must be an ndarray, not [1]'],
    ['toNdarray([1])', () => toNdarray([1]), 'ArgumentError', 'toNdarray: x must be a tensor'],
    ['toDevice(x)', () => toDevice(zeros([1])), 'ArgumentError', 'toDevice: name is missing'],
  ])
})

describe('devices', () => {
  refuse([
    ["device.use('cuda')", () => device.use('cuda'), 'DeviceError', "there is no device 'cuda'", "write 'gpu'"],
    [
      'device.use()',
      () => device.use(),
      'DeviceError',
      'there is no device undefined; the devices are reference, cpu, gpu',
    ],
    [
      "device.use('cpu', { thread: 2 })",
      () => device.use('cpu', { thread: 2 }),
      'OptionsError',
      'device.use: there is no option thread',
      'write device.use(name, { threads: 2 })',
    ],
    [
      "device.open('gpu', 'webgl2')",
      () => device.open('gpu', 'webgl2'),
      'OptionsError',
      "device.open: options must be an object, not 'webgl2'",
    ],
    ["device.with('cpu')", () => device.with('cpu'), 'ArgumentError', 'device.with: f is missing'],
  ])
})

describe("JavaScript's operators", () => {
  const x = tensor([1, 2]) as unknown as number
  const advice = ['a tensor [2] is not a number', 'x.add(y)', 'x.greater(y)', 'await x.item()'] as const
  refuse([
    ['x + 1', () => x + 1, 'TypeError', ...advice],
    ['x * 2', () => x * 2, 'TypeError', ...advice],
    ['-x', () => -x, 'TypeError', ...advice],
    ['x > 5', () => x > 5, 'TypeError', ...advice],
    ["x + ''", () => `${x + ('' as unknown as number)}`, 'TypeError', ...advice],
    ['Math.sqrt(x)', () => Math.sqrt(x), 'TypeError', ...advice],
    ['Number(x)', () => Number(x), 'TypeError', ...advice],
  ])
})
