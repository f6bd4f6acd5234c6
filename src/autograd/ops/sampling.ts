// Random choices whose probabilities are tensors. The noise comes from a generator on the host and the choice is made on the device,
// so that the probabilities need not be read. No gradient passes through a choice, except that of `gumbelSoftmax`.

import { takes } from '../../tensor/arguments.ts'
import {
  arange,
  type CreateOptions,
  deviceOf,
  exponential,
  floating,
  Generator,
  gumbel,
  rand,
  type Shape,
  ShapeError,
  show,
  Tensor,
  ValueError,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { Batched } from '../batched.ts'
import { defineOp } from '../op.ts'
import type { Thunks } from '../recording.ts'
import { add, cast, div, equal, less, where } from './elementwise.ts'
import { reshape, stack, unsqueeze } from './movement.ts'
import { argmax } from './reduce.ts'
import { softmax } from './softmax.ts'

const generatorOption = { generator: is.optional(is.instance('a Generator', Generator)) }

/** Options of noise that meets a tensor. */
const beside = (x: Tensor, generator: Generator | undefined) => ({
  dtype: floating(x.dtype),
  device: x.device,
  generator,
})

/** Options of `bernoulli`. */
export interface BernoulliOptions extends CreateOptions {
  /** default: that of p */
  readonly shape?: Shape
  /** source of random numbers; default: the generator that `seed` sets */
  readonly generator?: Generator
}
const bernoulliOptions = {
  ...generatorOption,
  shape: is.optional(is.shape),
  dtype: is.optional(is.dtype),
  device: is.optional(is.text as is.Kind<NonNullable<CreateOptions['device']>>),
} satisfies Settings<BernoulliOptions>

/**
 * 1 with probability p, else 0. The dtype is that of p if it is floating, else float32; `{ dtype: 'bool' }` makes a mask.
 *
 *     bernoulli(0.9, { shape: [2, 3], dtype: 'bool' })
 *     probabilities.bernoulli()
 *
 * @param p one probability, or a tensor of them. In a tensor a number below 0 or NaN counts as 0, and one above 1 as 1
 * @throws RangeError for a number that is not in [0, 1], ShapeError if p does not broadcast to the shape
 */
export const bernoulli: (p: Tensor | number, options?: BernoulliOptions) => Tensor = takes(
  'bernoulli(p, options)',
  [is.operand, is.options],
  (p: Tensor | number, options?: BernoulliOptions): Tensor => {
    const { shape, generator, dtype, device } = settle('bernoulli(p, options)', options, bernoulliOptions)
    if (p instanceof Tensor) {
      const uniform = rand(shape ?? p.shape, beside(p, generator))
      return cast(less(uniform, p.expand(uniform.shape)), dtype ?? floating(p.dtype))
    }
    if (!(p >= 0 && p <= 1)) throw new RangeError(`bernoulli: the probability must be in [0, 1], not ${p}`)
    return cast(less(rand(shape ?? [], { generator, device }), p), dtype ?? 'float32')
  },
)

/** Number of classes on the last axis. */
function classesOf(name: string, x: Tensor): number {
  const n = x.shape[x.rank - 1]
  if (!n)
    throw new ShapeError(`${name}: the last axis must have a class to choose, and ${show(x.shape)} has none`, x.shape)
  return n
}

/** Options of `categorical`. */
export interface CategoricalOptions {
  /** number of samples for each distribution, on a new last axis; default: one, without an axis */
  readonly count?: number
  /** source of random numbers; default: the generator that `seed` sets */
  readonly generator?: Generator
}
const categoricalOptions = { ...generatorOption, count: is.optional(is.size) } satisfies Settings<CategoricalOptions>

/**
 * Positions on the last axis, int32, each with probability softmax(logits): the largest of the logits plus Gumbel noise. Logits of
 * -∞ are never chosen, unless all are. `multinomial` takes probabilities.
 *
 *     const next = logits.div(temperature).categorical()  // [batch, words] → [batch]
 *
 * @param logits [..., n], n at least 1
 * @returns [...], or [..., count]
 * @throws ShapeError if there is no class
 */
export const categorical: (logits: Tensor, options?: CategoricalOptions) => Tensor = takes(
  'logits.categorical(options)',
  [is.tensor, is.options],
  (logits: Tensor, options?: CategoricalOptions): Tensor => {
    const { count, generator } = settle('logits.categorical(options)', options, categoricalOptions)
    const n = classesOf('categorical', logits)
    const noise = gumbel([...logits.shape.slice(0, -1), count ?? 1, n], beside(logits, generator))
    const chosen = argmax(add(unsqueeze(logits, -2), noise))
    return count === undefined ? reshape(chosen, logits.shape.slice(0, -1)) : chosen
  },
)

/** Options of `multinomial`. */
export interface MultinomialOptions {
  /** number of positions for each distribution; default 1 */
  readonly count?: number
  /** whether a position may be chosen several times; default false, as in PyTorch */
  readonly replacement?: boolean
  /** source of random numbers; default: the generator that `seed` sets */
  readonly generator?: Generator
}
const multinomialOptions = {
  ...generatorOption,
  count: is.byDefault(1, is.size),
  replacement: false,
} satisfies Settings<MultinomialOptions>

/**
 * Positions on the last axis, int32, with probabilities in proportion to the weights; without replacement, what is chosen first is out
 * of the next choices. The choice is the largest wᵢ / Eᵢ with exponential noise E. `categorical` takes logits.
 *
 *     tensor([0.2, 0.5, 0.3]).multinomial({ count: 2 })
 *
 * @param weights [..., n], 0 or more; they need not sum to 1
 * @returns [..., count]
 * @throws RangeError for more positions than weights above 0, ValueError for a weight that is negative, NaN or infinite; on `gpu`,
 *   where values are read asynchronously, only if there are fewer than `count` weights. ShapeError if there is no weight
 */
export const multinomial: (weights: Tensor, options?: MultinomialOptions) => Tensor = takes(
  'weights.multinomial(options)',
  [is.tensor, is.options],
  (weights: Tensor, options?: MultinomialOptions): Tensor => {
    const { count, replacement, generator } = settle('weights.multinomial(options)', options, multinomialOptions)
    const n = classesOf('multinomial', weights)
    checkWeights(weights, n, replacement ? Math.min(count, 1) : count)
    const noise = beside(weights, generator)
    const before = weights.shape.slice(0, -1)
    if (replacement) return argmax(div(unsqueeze(weights, -2), exponential([...before, count, n], noise)))
    const positions = arange(0, n, 1, { device: weights.device })
    let scores = div(weights, exponential(weights.shape, noise))
    const chosen: Tensor[] = []
    while (chosen.length < count) {
      const next = argmax(scores, { keepDims: true })
      scores = where(equal(positions, next), -1, scores)
      chosen.push(reshape(next, before))
    }
    return count === 0 ? reshape(arange(0, 0, 1, { device: weights.device }), [...before, 0]) : stack(chosen, -1)
  },
)

/** @param needed number of weights above 0 that each row must have */
function checkWeights(weights: Tensor, n: number, needed: number): void {
  if (needed > n)
    throw new RangeError(
      `multinomial: ${needed} positions without replacement are more than the ${n} of ${show(weights.shape)}; write { replacement: true }`,
    )
  // in vmap they cannot be read
  if (weights instanceof Batched || !deviceOf(weights).readSync) return
  const values = weights.dataSync()
  for (let row = 0; row < values.length; row += n) {
    let above = 0
    for (let i = row; i < row + n; i++) {
      if (!(values[i] >= 0 && values[i] < Infinity))
        throw new ValueError(
          `multinomial: the weight ${values[i]} at position ${i - row} of row ${row / n} must be a finite number, 0 or more`,
          values[i],
          [row / n, i - row],
        )
      if (values[i] > 0) above++
    }
    if (above < needed)
      throw new RangeError(
        `multinomial: row ${row / n} of ${show(weights.shape)} has ${above} weights above 0 and needs ${needed}, one for each choice without replacement`,
      )
  }
}

/** Options of `gumbelSoftmax`. */
export interface GumbelSoftmaxOptions {
  /** above 0; the lower, the nearer results are to one class; default 1 */
  readonly temperature?: number
  /** whether the result is 1 at the largest and 0 elsewhere, with the gradient of the soft one; default false */
  readonly hard?: boolean
  /** default -1, the last */
  readonly axis?: number
  /** source of random numbers; default: the generator that `seed` sets */
  readonly generator?: Generator
}
const gumbelSoftmaxOptions = {
  ...generatorOption,
  temperature: 1,
  hard: false,
  axis: -1,
} satisfies Settings<GumbelSoftmaxOptions>

/** The values of one tensor with the gradient of another. */
const straightThrough = defineOp(
  'straightThrough',
  (_, values: Tensor, _gradient: Tensor) => values.view(values.shape, values.strides),
  (g): Thunks => [undefined, () => g],
  'broadcast',
  'elementwise',
)

/**
 * softmax((logits + Gumbel noise) / temperature) along an axis: a sample of a class that has a gradient (Jang et al. 2017, Maddison et
 * al. 2017). With `hard`, the sample is 1 at its largest element and 0 elsewhere, and the gradient is that of the soft one (straight
 * through).
 * @throws RangeError for a temperature that is not above 0, ShapeError if there is no class, AxisError if x does not have the axis
 */
export const gumbelSoftmax: (logits: Tensor, options?: GumbelSoftmaxOptions) => Tensor = takes(
  'logits.gumbelSoftmax(options)',
  [is.tensor, is.options],
  (logits: Tensor, options?: GumbelSoftmaxOptions): Tensor => {
    const { temperature, hard, axis, generator } = settle(
      'logits.gumbelSoftmax(options)',
      options,
      gumbelSoftmaxOptions,
    )
    if (!(temperature > 0))
      throw new RangeError(`gumbelSoftmax: the temperature must be a number above 0, not ${temperature}`)
    const noisy = add(logits, gumbel(logits.shape, beside(logits, generator)))
    const soft = softmax(div(noisy, temperature), { axis })
    if (!hard) return soft
    const largest = argmax(soft, { axis, keepDims: true })
    const at = axis < 0 ? axis + logits.rank : axis
    const positions = reshape(
      arange(0, logits.shape[at], 1, { device: logits.device }),
      logits.shape.map((n, i) => (i === at ? n : 1)),
    )
    return straightThrough(cast(equal(positions, largest), soft.dtype), soft)
  },
)
