// Modules of convolutional networks: convolutions, pooling, resampling, and what joins axes at their end. The operations are in
// src/autograd/ops; the modules hold parameters and options.

import {
  type AvgPoolOptions,
  adaptiveAvgPool,
  avgPool2d,
  type ConvOptions,
  type ConvPaddingMode,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type FlattenOptions,
  type InterpolateOptions,
  type InterpolationMode,
  interpolate,
  type MaxPoolOptions,
  maxPool2d,
  type PerAxis,
} from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { ShapeError, show, sizeOf, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type Initializer, uniform } from './init.ts'
import { Module } from './module.ts'
import { type Parameter, parameter } from './parameter.ts'

/** Options of Conv1d, Conv2d and Conv3d; those of `conv2d`, with parameters in place of tensors. */
export interface ConvModuleOptions extends Omit<ConvOptions, 'bias'> {
  /** default true */
  readonly bias?: boolean
  /**
   * initializer of the weight; default uniform within ±1 / √in, as the bias is, where `in` is the number of inputs of an output
   */
  readonly init?: Initializer
}

/**
 * Options of ConvTranspose1d, ConvTranspose2d and ConvTranspose3d; those of `convTranspose2d`, with parameters in place of
 * tensors.
 */
export interface ConvTransposeModuleOptions extends Omit<ConvTransposeOptions, 'bias'> {
  /** default true */
  readonly bias?: boolean
  /** initializer of the weight; default uniform within ±1 / √n, as the bias is, where n is the size of weight[0] */
  readonly init?: Initializer
}

const counts = is.perAxis(is.count)
const sizes = is.perAxis(is.size)

/** PyTorch's initialisation: Kaiming uniform for leaky ReLU with a slope of √5. */
const inputsUniform: Initializer = (shape, generator) =>
  uniform(1 / Math.sqrt(sizeOf(shape.slice(1))))(shape, generator)

const commonOptions = {
  bias: true,
  stride: is.byDefault<PerAxis>(1, counts),
  dilation: is.byDefault<PerAxis>(1, counts),
  groups: is.byDefault(1, is.count),
  init: inputsUniform,
}
const convModuleOptions = {
  ...commonOptions,
  padding: is.byDefault<PerAxis | 'same' | 'valid'>(0, is.convolutionPadding),
  paddingMode: is.choice<ConvPaddingMode>('zeros', 'reflect', 'replicate', 'circular'),
} satisfies Settings<ConvModuleOptions>
const convTransposeModuleOptions = {
  ...commonOptions,
  padding: is.byDefault<PerAxis>(0, sizes),
  outputPadding: is.byDefault<PerAxis>(0, sizes),
} satisfies Settings<ConvTransposeModuleOptions>

/** A number for each of the axes of a module. @throws ShapeError for a list of another length */
function forEachAxis(name: string, what: string, value: PerAxis, rank: number): readonly number[] {
  const list = typeof value === 'number' ? new Array<number>(rank).fill(value) : value
  if (list.length === rank) return list
  throw new ShapeError(`${name}: the ${what} ${show(list)} must have one number for each of the ${rank} axes`, list)
}

const callOf = (name: string) => `new ${name}(inputs, outputs, kernel, options)`
const checkSizes = (name: string, ...args: readonly unknown[]) =>
  checkArguments(callOf(name), [is.count, is.count, counts], args)

interface ConvParameters {
  readonly weight: Parameter
  readonly bias: Parameter | undefined
}

/** @param channels those of the first axis of the weight, and those of the second in all groups together */
function parametersOf(
  name: string,
  rank: number,
  channels: readonly [number, number],
  outputs: number,
  kernel: PerAxis,
  { groups, bias, init }: { readonly groups: number; readonly bias: boolean; readonly init: Initializer },
): ConvParameters {
  const [first, second] = channels
  if (first % groups !== 0 || second % groups !== 0)
    throw new RangeError(`${name}: groups ${groups} must divide the channels ${first} and ${second}`)
  const shape = [first, second / groups, ...forEachAxis(name, 'kernel', kernel, rank)]
  const weight = parameter(shape, init)
  return { weight, bias: bias ? parameter([outputs], uniform(1 / Math.sqrt(sizeOf(shape.slice(1))))) : undefined }
}

type ConvSteps = Omit<ConvOptions, 'bias'>

function convolution(
  name: string,
  rank: number,
  inputs: number,
  outputs: number,
  kernel: PerAxis,
  options: ConvModuleOptions | undefined,
): ConvParameters & { readonly options: ConvSteps } {
  checkSizes(name, inputs, outputs, kernel)
  const settled = settle(callOf(name), options, convModuleOptions)
  const { bias: _, init: __, ...steps } = settled
  return { ...parametersOf(name, rank, [outputs, inputs], outputs, kernel, settled), options: steps }
}

type ConvTransposeSteps = Omit<ConvTransposeOptions, 'bias'>

function transposed(
  name: string,
  rank: number,
  inputs: number,
  outputs: number,
  kernel: PerAxis,
  options: ConvTransposeModuleOptions | undefined,
): ConvParameters & { readonly options: ConvTransposeSteps } {
  checkSizes(name, inputs, outputs, kernel)
  const settled = settle(callOf(name), options, convTransposeModuleOptions)
  const { bias: _, init: __, ...steps } = settled
  return { ...parametersOf(name, rank, [inputs, outputs], outputs, kernel, settled), options: steps }
}

/**
 * The convolution over one axis, [batch, in, width] → [batch, out, count], as `conv1d` says.
 */
export class Conv1d extends Module {
  /** [out, in / groups, kernel] */
  readonly weight: Parameter
  /** [out]; absent with `bias: false` */
  readonly bias?: Parameter
  /** stride, padding, dilation and groups */
  readonly options: ConvSteps

  constructor(inputs: number, outputs: number, kernel: PerAxis, options?: ConvModuleOptions) {
    super()
    const made = convolution('Conv1d', 1, inputs, outputs, kernel, options)
    this.weight = made.weight
    if (made.bias) this.bias = made.bias
    this.options = made.options
  }

  /** The convolution: [batch, in, width] → [batch, out, count]. */
  forward(x: Tensor): Tensor {
    return conv1d(x, this.weight, { ...this.options, bias: this.bias })
  }
}

/**
 * The convolution over two axes, [batch, in, height, width] → [batch, out, count, count], as `conv2d` says.
 *
 *     const conv = new Conv2d(3, 16, 3, { padding: 'same' })
 */
export class Conv2d extends Module {
  /** [out, in / groups, kernel, kernel] */
  readonly weight: Parameter
  /** [out]; absent with `bias: false` */
  readonly bias?: Parameter
  /** stride, padding, dilation and groups */
  readonly options: ConvSteps

  constructor(inputs: number, outputs: number, kernel: PerAxis, options?: ConvModuleOptions) {
    super()
    const made = convolution('Conv2d', 2, inputs, outputs, kernel, options)
    this.weight = made.weight
    if (made.bias) this.bias = made.bias
    this.options = made.options
  }

  /** The convolution: [batch, in, height, width] → [batch, out, count, count]. */
  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight, { ...this.options, bias: this.bias })
  }
}

/**
 * The convolution over three axes, [batch, in, depth, height, width] → [batch, out, count, count, count], as `conv3d` says.
 */
export class Conv3d extends Module {
  /** [out, in / groups, kernel, kernel, kernel] */
  readonly weight: Parameter
  /** [out]; absent with `bias: false` */
  readonly bias?: Parameter
  /** stride, padding, dilation and groups */
  readonly options: ConvSteps

  constructor(inputs: number, outputs: number, kernel: PerAxis, options?: ConvModuleOptions) {
    super()
    const made = convolution('Conv3d', 3, inputs, outputs, kernel, options)
    this.weight = made.weight
    if (made.bias) this.bias = made.bias
    this.options = made.options
  }

  /** The convolution: [batch, in, depth, height, width] → [batch, out, count, count, count]. */
  forward(x: Tensor): Tensor {
    return conv3d(x, this.weight, { ...this.options, bias: this.bias })
  }
}

/**
 * The transposed convolution over one axis, [batch, in, width] → [batch, out, n], as `convTranspose1d` says.
 */
export class ConvTranspose1d extends Module {
  /** [in, out / groups, kernel] */
  readonly weight: Parameter
  /** [out]; absent with `bias: false` */
  readonly bias?: Parameter
  /** stride, padding, dilation and groups */
  readonly options: ConvTransposeSteps

  constructor(inputs: number, outputs: number, kernel: PerAxis, options?: ConvTransposeModuleOptions) {
    super()
    const made = transposed('ConvTranspose1d', 1, inputs, outputs, kernel, options)
    this.weight = made.weight
    if (made.bias) this.bias = made.bias
    this.options = made.options
  }

  /** The transposed convolution: [batch, in, count] → [batch, out, width]. */
  forward(x: Tensor): Tensor {
    return convTranspose1d(x, this.weight, { ...this.options, bias: this.bias })
  }
}

/**
 * The transposed convolution over two axes, [batch, in, height, width] → [batch, out, n, n], as `convTranspose2d` says.
 *
 *     const twiceAsLarge = new ConvTranspose2d(16, 3, 4, { stride: 2, padding: 1 })
 */
export class ConvTranspose2d extends Module {
  /** [in, out / groups, kernel, kernel] */
  readonly weight: Parameter
  /** [out]; absent with `bias: false` */
  readonly bias?: Parameter
  /** stride, padding, dilation and groups */
  readonly options: ConvTransposeSteps

  constructor(inputs: number, outputs: number, kernel: PerAxis, options?: ConvTransposeModuleOptions) {
    super()
    const made = transposed('ConvTranspose2d', 2, inputs, outputs, kernel, options)
    this.weight = made.weight
    if (made.bias) this.bias = made.bias
    this.options = made.options
  }

  /** The transposed convolution: [batch, in, count, count] → [batch, out, height, width]. */
  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, { ...this.options, bias: this.bias })
  }
}

/**
 * The transposed convolution over three axes, [batch, in, depth, height, width] → [batch, out, n, n, n], as `convTranspose3d`
 * says.
 */
export class ConvTranspose3d extends Module {
  /** [in, out / groups, kernel, kernel, kernel] */
  readonly weight: Parameter
  /** [out]; absent with `bias: false` */
  readonly bias?: Parameter
  /** stride, padding, dilation and groups */
  readonly options: ConvTransposeSteps

  constructor(inputs: number, outputs: number, kernel: PerAxis, options?: ConvTransposeModuleOptions) {
    super()
    const made = transposed('ConvTranspose3d', 3, inputs, outputs, kernel, options)
    this.weight = made.weight
    if (made.bias) this.bias = made.bias
    this.options = made.options
  }

  /** The transposed convolution: [batch, in, count, count, count] → [batch, out, depth, height, width]. */
  forward(x: Tensor): Tensor {
    return convTranspose3d(x, this.weight, { ...this.options, bias: this.bias })
  }
}

const poolSettings = { stride: is.optional(counts), padding: is.byDefault<PerAxis>(0, sizes), ceilMode: false }
const maxPoolSettings = { ...poolSettings, dilation: is.byDefault<PerAxis>(1, counts) } satisfies Settings<
  Omit<MaxPoolOptions, 'kernel'>
>
const avgPoolSettings = { ...poolSettings, countIncludePad: true } satisfies Settings<Omit<AvgPoolOptions, 'kernel'>>

/**
 * The largest element of every window: [batch, channels, height, width] → [batch, channels, count, count], as `maxPool2d` says.
 */
export class MaxPool2d extends Module {
  /** the windows */
  readonly options: MaxPoolOptions

  constructor(kernel: PerAxis, options?: Omit<MaxPoolOptions, 'kernel'>) {
    super()
    const call = 'new MaxPool2d(kernel, options)'
    checkArguments(call, [counts], [kernel])
    this.options = { kernel: forEachAxis('MaxPool2d', 'kernel', kernel, 2), ...settle(call, options, maxPoolSettings) }
  }

  /** The largest elements: [batch, channels, height, width] → [batch, channels, count, count]. */
  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.options)
  }
}

/** The mean of every window: [batch, channels, height, width] → [batch, channels, count, count], as `avgPool2d` says. */
export class AvgPool2d extends Module {
  /** the windows */
  readonly options: AvgPoolOptions

  constructor(kernel: PerAxis, options?: Omit<AvgPoolOptions, 'kernel'>) {
    super()
    const call = 'new AvgPool2d(kernel, options)'
    checkArguments(call, [counts], [kernel])
    this.options = { kernel: forEachAxis('AvgPool2d', 'kernel', kernel, 2), ...settle(call, options, avgPoolSettings) }
  }

  /** The means: [batch, channels, height, width] → [batch, channels, count, count]. */
  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.options)
  }
}

/**
 * The means of parts of an image: [batch, channels, height, width] → [batch, channels, size, size], as `adaptiveAvgPool` says.
 */
export class AdaptiveAvgPool2d extends Module {
  /** height and width of the result */
  readonly size: readonly number[]

  constructor(size: PerAxis) {
    super()
    checkArguments('new AdaptiveAvgPool2d(size)', [counts], [size])
    this.size = forEachAxis('AdaptiveAvgPool2d', 'size', size, 2)
  }

  /** The means: [batch, channels, height, width] → [batch, channels, size, size]. */
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool(x, this.size)
  }
}

const upsampleOptions = {
  size: is.optional(counts),
  scale: is.optional(is.perAxis(is.positive)),
  mode: is.choice<InterpolationMode>('nearest', 'bilinear', 'bicubic', 'area'),
  alignCorners: false,
  antialias: false,
} satisfies Settings<InterpolateOptions>

/**
 * Another size of images: [batch, channels, n…] → [batch, channels, size…], as `interpolate` says, whose options it takes.
 *
 *     const twiceAsLarge = new Upsample({ scale: 2, mode: 'bilinear' })
 */
export class Upsample extends Module {
  /** the new size, and the interpolation */
  readonly options: InterpolateOptions

  constructor(options: InterpolateOptions) {
    super()
    this.options = settle('new Upsample(options)', options, upsampleOptions)
  }

  /** The images in their new size: [batch, channels, n…] → [batch, channels, size…]. */
  forward(x: Tensor): Tensor {
    return interpolate(x, this.options)
  }
}

const flattenModuleOptions = { start: 1, end: -1 } satisfies Settings<FlattenOptions>

/** Axes joined to one, all but the first by default: [batch, …] → [batch, n], as `flatten` says. */
export class Flatten extends Module {
  /** the first and the last axis that are joined */
  readonly options: FlattenOptions

  constructor(options?: FlattenOptions) {
    super()
    this.options = settle('new Flatten(options)', options, flattenModuleOptions)
  }

  /** The same elements with fewer axes: [batch, …] → [batch, n] by default. */
  forward(x: Tensor): Tensor {
    return x.flatten(this.options)
  }
}
