// Normalizations besides LayerNorm, and the dropout of whole channels.

import { batchNorm, dropout, groupNorm, noGrad, rmsNorm } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import {
  deviceOf,
  ones as filled,
  fromData,
  type Shape,
  ShapeError,
  scope,
  show,
  type Tensor,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { ones, zeros } from './init.ts'
import { Module } from './module.ts'
import { type Buffer, buffer, type Parameter, parameter } from './parameter.ts'

/** weight x / √(mean x² + ε) over the last axis */
export class RMSNorm extends Module {
  /** γ, [width] */
  readonly weight: Parameter
  /** ε, added to the mean square */
  readonly epsilon: number

  constructor(width: number, epsilon = 1e-6) {
    super()
    checkArguments('new RMSNorm(width, epsilon)', [is.count, is.number], [width, epsilon])
    this.weight = parameter([width], ones)
    this.epsilon = epsilon
  }

  /** x / √(mean x² + ε) · γ over the last axis: [..., width] → [..., width] */
  forward(x: Tensor): Tensor {
    return rmsNorm(x, { weight: this.weight, epsilon: this.epsilon })
  }
}

/** Options of the normalizations of channels. */
export interface ChannelNormOptions {
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number
  /** whether each channel has a weight and a bias that are trained; default true, and false for the instance normalizations */
  readonly affine?: boolean
}
const channelNormOptions = { epsilon: 1e-5, affine: true } satisfies Settings<ChannelNormOptions>
const instanceNormOptions = { epsilon: 1e-5, affine: false } satisfies Settings<ChannelNormOptions>

/** Checks that a tensor is [batch, channels, ...] with one of the ranks. */
function checkChannels(name: string, x: Tensor, channels: number, axes: readonly string[]): void {
  const { rank, shape } = x
  const ranks = axes.map(list => (list === '' ? 2 : 2 + list.split(', ').length))
  if (ranks.includes(rank) && shape[1] === channels) return
  const forms = axes.map(list => `[batch, ${channels}${list && `, ${list}`}]`).join(' or ')
  const advice = rank > 0 && shape[0] === channels ? '; write x.unsqueeze(0) for a batch of one' : ''
  throw new ShapeError(`${name}: x must be ${forms}, not ${show(shape)}${advice}`, shape)
}

/**
 * weight (x - mean) / √(variance + ε) + bias, with the mean and the biased variance of each group of channels of each example:
 * [batch, channels, ...] → the same.
 */
export class GroupNorm extends Module {
  /** γ, [channels]; absent with `affine: false` */
  readonly weight?: Parameter
  /** β, [channels]; absent with `affine: false` */
  readonly bias?: Parameter
  /** number of groups, which divides the channels */
  readonly groups: number
  /** number of channels, the second axis */
  readonly channels: number
  /** ε, added to the variance */
  readonly epsilon: number

  /** @throws RangeError unless the groups divide the channels */
  constructor(groups: number, channels: number, options?: ChannelNormOptions) {
    super()
    const call = 'new GroupNorm(groups, channels, options)'
    checkArguments(call, [is.count, is.count], [groups, channels])
    const { epsilon, affine } = settle(call, options, channelNormOptions)
    if (channels % groups !== 0)
      throw new RangeError(`GroupNorm: the number of groups, ${groups}, must divide that of channels, ${channels}`)
    this.groups = groups
    this.channels = channels
    this.epsilon = epsilon
    if (!affine) return
    this.weight = parameter([channels], ones)
    this.bias = parameter([channels], zeros)
  }

  /** x, normalised over each group of channels of each example: [batch, channels, ...] → the same shape */
  forward(x: Tensor): Tensor {
    const { groups, weight, bias, epsilon } = this
    return groupNorm(x, { groups, weight, bias, epsilon })
  }
}

/** The instance normalizations, which differ in the axes that they take. */
abstract class InstanceNorm extends GroupNorm {
  /** the axes after the channels, in messages */
  protected abstract get axes(): string

  constructor(channels: number, options?: ChannelNormOptions) {
    const call = `new ${new.target.name}(channels, options)`
    checkArguments(call, [is.count], [channels])
    super(channels, channels, settle(call, options, instanceNormOptions))
  }

  override forward(x: Tensor): Tensor {
    checkChannels(this.constructor.name, x, this.channels, [this.axes])
    return super.forward(x)
  }
}

/** Each channel of each example with mean 0 and variance 1: a GroupNorm with a group for each channel. [batch, channels, length] */
export class InstanceNorm1d extends InstanceNorm {
  protected get axes(): string {
    return 'length'
  }
}

/** Each channel of each example with mean 0 and variance 1 (Ulyanov et al. 2016): [batch, channels, height, width] */
export class InstanceNorm2d extends InstanceNorm {
  protected get axes(): string {
    return 'height, width'
  }
}

/** Each channel of each example with mean 0 and variance 1: [batch, channels, depth, height, width] */
export class InstanceNorm3d extends InstanceNorm {
  protected get axes(): string {
    return 'depth, height, width'
  }
}

/** Options of the batch normalizations. */
export interface BatchNormModuleOptions extends ChannelNormOptions {
  /**
   * share of a new batch in the running mean and variance; default 0.1. `cumulative` gives all batches the same share (in PyTorch,
   * None)
   */
  readonly momentum?: number | 'cumulative'
  /** whether it has running statistics, which evaluation uses; without them it uses those of the batch there too. Default true */
  readonly running?: boolean
}
const batchNormOptions = {
  ...channelNormOptions,
  momentum: is.byDefault<number | 'cumulative'>(
    0.1,
    new is.Kind("a number from 0 to 1, or 'cumulative'", x => x === 'cumulative' || typeof x === 'number'),
  ),
  running: true,
} satisfies Settings<BatchNormModuleOptions>

/** The batch normalizations, which differ in the axes that they take. */
abstract class BatchNorm extends Module {
  readonly weight?: Parameter // [channels]
  readonly bias?: Parameter // [channels]
  /** of the batches of training, [channels] */
  readonly runningMean?: Buffer
  /** of the batches of training, [channels]: the unbiased estimate */
  readonly runningVariance?: Buffer
  /** number of the batches of training, int32 [] */
  readonly batches?: Buffer
  readonly channels: number
  readonly epsilon: number
  readonly momentum: number | 'cumulative'

  /** the axes after the channels, in messages: one or more lists of them */
  protected abstract get axes(): readonly string[]

  /** @throws RangeError unless the momentum is in [0, 1] */
  constructor(channels: number, options?: BatchNormModuleOptions) {
    super()
    const call = `new ${new.target.name}(channels, options)`
    checkArguments(call, [is.count], [channels])
    const { epsilon, affine, momentum, running } = settle(call, options, batchNormOptions)
    if (momentum !== 'cumulative' && !(momentum >= 0 && momentum <= 1))
      throw new RangeError(`${new.target.name}: the momentum must be in [0, 1], not ${momentum}`)
    this.channels = channels
    this.epsilon = epsilon
    this.momentum = momentum
    if (affine) {
      this.weight = parameter([channels], ones)
      this.bias = parameter([channels], zeros)
    }
    if (running) {
      this.runningMean = buffer([channels], 0)
      this.runningVariance = buffer([channels], 1)
      this.batches = buffer([], 0, 'int32')
    }
  }

  /** @throws ShapeError for x of another form, and in training for one number a channel, which has no variance */
  forward(x: Tensor): Tensor {
    checkChannels(this.constructor.name, x, this.channels, this.axes)
    const { weight, bias, epsilon, runningMean, runningVariance } = this
    if (!this.training && runningMean && runningVariance)
      return batchNorm(x, { mean: near(runningMean, x), variance: near(runningVariance, x), weight, bias, epsilon })
    if (this.training && x.size / this.channels < 2)
      throw new ShapeError(
        `${this.constructor.name}: in training a channel must have more than one number, and x is ${show(x.shape)}; call eval() to use the running statistics`,
        x.shape,
      )
    if (this.training) this.updateStatistics(x)
    return batchNorm(x, { weight, bias, epsilon })
  }

  protected updateStatistics(x: Tensor): void {
    const { runningMean, runningVariance, batches, momentum } = this
    if (!runningMean || !runningVariance || !batches) return
    // a check of the module on another device is no training
    if (runningMean.device !== x.device) return
    noGrad(() =>
      scope(() => {
        batches.assign(batches.add(1))
        const over = { axis: x.shape.map((_, i) => i).filter(i => i !== 1) }
        const follow = (old: Buffer, next: Tensor) => {
          const step = next.sub(old)
          const moved = old.add(momentum === 'cumulative' ? step.div(batches) : step.mul(momentum))
          old.assign(moved.cast(old.dtype))
        }
        follow(runningMean, x.mean(over))
        follow(runningVariance, x.variance(over))
      }),
    )
  }
}

/** A buffer on the device of x, which may be another one while the module is checked there. */
const near = (buffer: Buffer, x: Tensor): Tensor =>
  buffer.device === x.device ? buffer : fromData(buffer.dataSync(), buffer.shape, deviceOf(x))

/**
 * weight (x - mean) / √(variance + ε) + bias, with the mean and the biased variance of each channel over the batch in training, and
 * the running ones in evaluation (Ioffe and Szegedy 2015): [batch, channels] or [batch, channels, length].
 *
 * Each forward pass in training moves the running statistics, r ← r + momentum (b - r), with the unbiased variance of the batch.
 * They are buffers: in the state dict, but not trained. `freeze` does not stop them; `eval` does. What runs a forward pass twice,
 * such as `checkpoint`, counts a batch twice.
 */
export class BatchNorm1d extends BatchNorm {
  protected get axes(): readonly string[] {
    return ['', 'length']
  }
}

/** Batch normalization of [batch, channels, height, width], as BatchNorm1d. */
export class BatchNorm2d extends BatchNorm {
  protected get axes(): readonly string[] {
    return ['height, width']
  }
}

/** Batch normalization of [batch, channels, depth, height, width], as BatchNorm1d. */
export class BatchNorm3d extends BatchNorm {
  protected get axes(): readonly string[] {
    return ['depth, height, width']
  }
}

/**
 * In training, sets whole channels to zero with probability p and multiplies the others by 1 / (1 - p) (Tompson et al. 2015); in
 * evaluation, the identity: [batch, channels, ...] → the same. Neighbours in a feature map are alike, so that dropping them one by
 * one, as `Dropout` does, hides little.
 */
export class Dropout2d extends Module {
  /** probability of dropping a channel */
  readonly p: number

  constructor(p: number) {
    super()
    checkArguments('new Dropout2d(p)', [is.number], [p])
    if (!(p >= 0 && p < 1)) throw new RangeError(`Dropout2d: the probability must be in [0, 1), not ${p}`)
    this.p = p
  }

  /**
   * In training, x / (1 - p) where a channel is kept and 0 elsewhere; in evaluation, x. Of the shape of x.
   * @throws ShapeError unless x has channels
   */
  forward(x: Tensor): Tensor {
    if (x.rank < 2) throw new ShapeError(`Dropout2d: x must be [batch, channels, ...], not ${show(x.shape)}`, x.shape)
    if (!this.training) return x
    const { dtype, device } = x
    const each: Shape = x.shape.map((n, i) => (i < 2 ? n : 1))
    return x.mul(dropout(filled(each, { dtype, device }), this.p))
  }
}
