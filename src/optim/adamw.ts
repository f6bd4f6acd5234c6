// Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019).

import type { Parameter, ParameterSource } from '../nn/index.ts'
import { type AdamWNumbers, deviceOf, type Moments, type Shape, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type MomentStorage, momentStorage, signedFormat, squareFormat } from './moments.ts'
import { Optimizer, type OptimizerOptions, optimizerOptions, type UpdateInput, type UpdateResult } from './optimizer.ts'
import { checkSetting } from './setting.ts'

/** Options of `AdamW`. */
export interface AdamWOptions extends OptimizerOptions {
  /** decay rates of the two moments; default [0.9, 0.999] */
  readonly betas?: readonly [number, number]
  /** added to the root of the second moment; default 1e-8 */
  readonly epsilon?: number
  /** how the two moments are stored; default float32 */
  readonly moments?: MomentStorage
}
/** Two decay rates. */
export const twoNumbers = new is.Kind<readonly [number, number]>(
  'two numbers such as [0.9, 0.999]',
  x => Array.isArray(x) && x.length === 2 && x.every(beta => typeof beta === 'number'),
)
const adamwOptions = {
  ...optimizerOptions,
  weightDecay: 0.01,
  betas: is.byDefault([0.9, 0.999], twoNumbers),
  epsilon: 1e-8,
  moments: momentStorage,
} satisfies Settings<AdamWOptions>

/**
 * m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g²,
 * w ← (1 - η λ) w - η / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)
 * with the learning rate η and weight decay λ (default 0.01); t counts the updates of each parameter separately.
 *
 * With `moments: 'bfloat16'` or `'float8'` m and v are stored in 2 bytes or 1.03 bytes a number instead of 4, of v in 8 bits the root.
 */
export class AdamW extends Optimizer {
  readonly algorithm = 'AdamW'
  /** β₁ and β₂, the shares of the old moments that a step keeps */
  readonly betas: readonly [number, number]
  /** ε, added to the root of the second moment */
  readonly epsilon: number
  /** how the moments are stored */
  readonly moments: MomentStorage

  constructor(parameters: ParameterSource, options?: AdamWOptions) {
    const { betas, epsilon, moments, ...shared } = settle('new AdamW(parameters, options)', options, adamwOptions)
    super(parameters, shared)
    for (const [i, beta] of betas.entries()) checkSetting(`betas[${i}]`, beta, 0, 1)
    checkSetting('epsilon', epsilon, 0)
    this.betas = betas
    this.epsilon = epsilon
    this.moments = moments
  }

  protected slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return { firstMoment: shape, secondMoment: shape }
  }

  protected override slotFormats() {
    return momentFormatsOf(this.moments)
  }

  protected update(input: UpdateInput): UpdateResult {
    return adamwUpdate(input, this)
  }

  protected override updateInPlace(inputs: readonly UpdateInput[]): boolean {
    return adamwInPlace(inputs, this)
  }
}

/** The settings of the two moments. */
export type MomentSettings = Readonly<Required<Pick<AdamWOptions, 'betas' | 'epsilon'>>>

/** The step of AdamW, for all optimizers that have it. */
export function adamwUpdate(input: UpdateInput, settings: MomentSettings): UpdateResult {
  const { value, gradient, slots } = input
  const numbers = adamwNumbers(input, settings)
  const moments = { firstMoment: slots.firstMoment, secondMoment: slots.secondMoment }
  const moved =
    deviceOf(value).kernels.adamw?.(value, gradient, moments, numbers) ?? adamw(value, gradient, moments, numbers)
  const { firstMoment, secondMoment } = moved
  return { value: moved.value, slots: { firstMoment, secondMoment } }
}

/** The formats of the two moments. */
export const momentFormatsOf = (storage: MomentStorage) => ({
  firstMoment: signedFormat(storage),
  secondMoment: squareFormat(storage),
})

/** The same for all parameters at once, in place; false if the device does not support it. */
export function adamwInPlace(inputs: readonly UpdateInput[], settings: MomentSettings): boolean {
  const [{ value, packed: isPacked }] = inputs
  const { adamwInPlace: kernel, adamwPackedInPlace: packedKernel } = deviceOf(value).kernels
  const { device } = value
  if (inputs.some(({ value }) => value.device !== device)) return false
  const numbersOf = adamwNumbersOf(settings)
  if (isPacked) {
    const updates = inputs.map(input => {
      const { value, gradient, packed } = input
      const { firstMoment, secondMoment } = packed!
      return { value, gradient, firstMoment, secondMoment, numbers: numbersOf(input) }
    })
    return packedKernel?.(updates) === true
  }
  if (!kernel) return false
  const updates = inputs.map(input => {
    const { value, gradient, slots } = input
    const { firstMoment, secondMoment } = slots
    return { value, gradient, firstMoment, secondMoment, numbers: numbersOf(input) }
  })
  return kernel(updates) === true
}

/** The numbers of each of several updates: the same object for neighbours with the same step, rate and decay. */
function adamwNumbersOf(settings: MomentSettings): (input: UpdateInput) => AdamWNumbers {
  let last: UpdateInput | undefined
  let numbers: AdamWNumbers
  return input => {
    const { step, learningRate, weightDecay } = input
    if (last?.step !== step || last.learningRate !== learningRate || last.weightDecay !== weightDecay)
      numbers = adamwNumbers(input, settings)
    last = input
    return numbers
  }
}

function adamwNumbers({ step, learningRate, weightDecay }: UpdateInput, settings: MomentSettings): AdamWNumbers {
  const { betas, epsilon } = settings
  const [beta1, beta2] = betas
  return {
    beta1,
    beta2,
    epsilon,
    kept: 1 - learningRate * weightDecay,
    rate: learningRate / (1 - beta1 ** step),
    deviation: Math.sqrt(1 - beta2 ** step),
  }
}

/** One step, from the numbers of its formula: the reference for a device's own kernel. */
function adamw(x: Tensor, g: Tensor, moments: Moments, numbers: AdamWNumbers): Moments & { value: Tensor } {
  const { beta1, beta2, epsilon, kept, rate, deviation } = numbers
  const firstMoment = moments.firstMoment.mul(beta1).add(g.mul(1 - beta1))
  const secondMoment = moments.secondMoment.mul(beta2).add(g.square().mul(1 - beta2))
  const direction = firstMoment.div(secondMoment.sqrt().div(deviation).add(epsilon))
  return { value: x.mul(kept).sub(direction.mul(rate)), firstMoment, secondMoment }
}
