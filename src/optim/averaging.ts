// Averages of weights: over the steps of one training (an exponential moving average), and over several models of the same shape.

import { noGrad } from '../autograd/index.ts'
import { Module, Parameter, type ParameterSource, StateDictError, type StateDictMismatch } from '../nn/index.ts'
import { copyOf } from '../nn/parameter.ts'
import { isParameterSource, namedIn } from '../nn/parameter-source.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { isPlain } from '../tensor/given.ts'
import { canReplace, type DeviceName, isFloating, sameShape, scope, type Tensor, toDevice } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { restoredAfterCount } from '../tensor/stand-ins.ts'
import { checkSetting } from './setting.ts'

/** Options of an `ExponentialMovingAverage`. */
export interface AverageOptions {
  /** d, the share of the old average that an update keeps, at least 0 and below 1; default 0.999 */
  readonly decay?: number
  /** whether the first updates keep less, min(d, (1 + n) / (10 + n)) after n updates; default true */
  readonly warmup?: boolean
}
const averageOptions = { decay: 0.999, warmup: true } satisfies Settings<AverageOptions>

/** The state of an average; the values are plain JSON. */
export interface AverageState {
  /** the averages by the names of their parameters */
  readonly tensors: ReadonlyMap<string, Tensor>
  /** the number of updates */
  readonly values: {
    /** number of updates */
    readonly updates: number
  }
}

const isAverageState = new is.Kind<AverageState>(
  'what stateDict of an ExponentialMovingAverage gives',
  x => isPlain(x) && x.tensors instanceof Map && isPlain(x.values),
)

/**
 * The exponential moving average of the weights (Polyak and Juditsky 1992), which often scores better than the last weights.
 *
 *     const average = new ExponentialMovingAverage(model, { decay: 0.999 })
 *     for (const batch of batches) {
 *       optimizer.minimize(() => loss(batch))
 *       average.update()
 *     }
 *     const accuracy = await average.within(() => evaluate(model))
 *
 * The average begins with the weights that the parameters have now, and the update after n others is
 *
 *     θ̄ ← θ̄ - (1 - dₙ) (θ̄ - θ),   dₙ = min(d, (1 + n) / (10 + n))
 *
 * which equals dₙ θ̄ + (1 - dₙ) θ, and leaves θ̄ unchanged where θ = θ̄. dₙ is the warm-up that TensorFlow documents for
 * tf.train.ExponentialMovingAverage with num_updates: the initial weights are soon forgotten, so the average needs no correction of
 * a bias. `warmup: false` uses dₙ = d.
 *
 * Parameters that are frozen at first are not averaged, and need no memory, until an update finds them trainable; the average then
 * begins with their value at that update. A parameter that is averaged stays averaged if it is frozen later. Buffers, such as the
 * running statistics of a BatchNorm2d, are not averaged: they follow the weights of the training.
 */
export class ExponentialMovingAverage {
  /** d, the share of the old average that an update keeps */
  readonly decay: number
  /** whether the first updates keep less */
  readonly warmup: boolean
  readonly #parameters: ReadonlyMap<string, Parameter>
  readonly #averages = new Map<string, Parameter>()
  #updates = 0
  #isSwapped = false

  /**
   * @param parameters a module, or parameters with their names
   * @throws RangeError if the decay is below 0, or 1 or more
   */
  constructor(parameters: ParameterSource, options?: AverageOptions) {
    const call = 'new ExponentialMovingAverage(parameters, options)'
    checkArguments(call, [isParameterSource], [parameters])
    const { decay, warmup } = settle(call, options, averageOptions)
    checkSetting('decay', decay, 0, 1)
    this.decay = decay
    this.warmup = warmup
    this.#parameters = new Map(namedIn('ExponentialMovingAverage', parameters))
    for (const [name, parameter] of this.#parameters) if (parameter.trainable) this.#begin(name, parameter)
  }

  /** Number of updates so far. */
  get updates(): number {
    return this.#updates
  }

  /** Whether the parameters have their averages at the moment. */
  get isSwapped(): boolean {
    return this.#isSwapped
  }

  /**
   * Includes the weights in the average; call it after each step of the optimizer.
   * @throws Error while the parameters have their averages
   */
  update(): void {
    if (this.#isSwapped)
      throw new Error(
        'average.update: the parameters have their averages now, so no weights can be added; call swap first',
      )
    restoredAfterCount(this, () => this.#saved())
    const n = this.#updates
    const kept = this.warmup ? Math.min(this.decay, (1 + n) / (10 + n)) : this.decay
    for (const [name, parameter] of this.#parameters) {
      const average = this.#averages.get(name)
      if (average) noGrad(() => scope(() => average.assign(average.sub(average.sub(parameter).mul(1 - kept)))))
      else if (parameter.trainable) this.#begin(name, parameter)
    }
    this.#updates++
  }

  /** Exchanges the weights and their averages, exactly. A second call exchanges them back. */
  swap(): void {
    restoredAfterCount(this, () => this.#saved())
    for (const [name, average] of this.#averages) {
      const parameter = this.#parameters.get(name)!
      noGrad(() =>
        scope(() => {
          const weights = copyOf(parameter)
          parameter.assign(copyOf(average))
          average.assign(weights)
        }),
      )
    }
    this.#isSwapped = !this.#isSwapped
  }

  /**
   * Runs `f`, which may be asynchronous, while the parameters have their averages, and then restores the weights, also after an error.
   * @throws Error while the parameters have their averages
   */
  within<T>(f: () => T): T {
    checkArguments('average.within(f)', [is.callback], [f])
    if (this.#isSwapped) throw new Error('average.within: the parameters have their averages already; call swap first')
    this.swap()
    let result: T
    try {
      result = f()
    } catch (error) {
      this.swap()
      throw error
    }
    if (result instanceof Promise) return result.finally(() => this.swap()) as T
    this.swap()
    return result
  }

  /**
   * Everything that the next update depends on besides the parameters. The tensors change with every further update.
   * @throws Error while the parameters have their averages
   */
  stateDict(): AverageState {
    if (this.#isSwapped)
      throw new Error('average.stateDict: the parameters have their averages now; call swap before this')
    return { tensors: new Map(this.#averages), values: { updates: this.#updates } }
  }

  /**
   * Continues from a saved state: the following updates are bitwise the same. Nothing is changed unless everything fits.
   * @throws StateDictError naming averages that are missing, unknown, or of another shape or dtype; RangeError for a number of
   *   updates that is not a whole number
   */
  loadStateDict(state: AverageState): this {
    checkArguments('average.loadStateDict(state)', [isAverageState], [state])
    const { tensors, values } = state
    const { updates } = values
    if (!Number.isInteger(updates) || updates < 0)
      throw new RangeError(`average.loadStateDict: updates = ${updates}: must be a whole number, 0 or more`)
    const missing = [...this.#averages.keys()].filter(name => !tensors.has(name))
    const unexpected = [...tensors.keys()].filter(name => !this.#parameters.has(name))
    const mismatched = [...this.#parameters].flatMap(([name, parameter]) =>
      tensors.has(name) ? mismatch(name, parameter, tensors.get(name)!) : [],
    )
    if (missing.length + unexpected.length + mismatched.length > 0)
      throw new StateDictError(missing, unexpected, mismatched)
    for (const [name, value] of tensors) this.#begin(name, value)
    this.#updates = updates
    return this
  }

  /** Moves the averages to an open device, after the parameters were moved there. */
  async to(name: DeviceName): Promise<this> {
    for (const average of this.#averages.values())
      if (average.device !== name) average.assign(await toDevice(average, name))
    return this
  }

  /** Returns a function that restores the state, except the values of its tensors. */
  #saved(): () => void {
    const [updates, isSwapped, names] = [this.#updates, this.#isSwapped, new Set(this.#averages.keys())]
    return () => {
      this.#updates = updates
      this.#isSwapped = isSwapped
      for (const name of this.#averages.keys()) if (!names.has(name)) this.#averages.delete(name)
    }
  }

  #begin(name: string, value: Tensor): void {
    const before = this.#averages.get(name)
    if (before) before.assign(copyOf(value))
    else this.#averages.set(name, new Parameter(copyOf(value)))
  }
}

function mismatch(name: string, expected: Tensor, found: Tensor): StateDictMismatch[] {
  const shapes = { name, expected: expected.shape, found: found.shape }
  if (!sameShape(expected.shape, found.shape)) return [shapes]
  if (canReplace(found.dtype, expected.dtype)) return []
  return [{ ...shapes, dtypes: { expected: expected.dtype, found: found.dtype } }]
}

const areModules = new is.Kind<readonly Module[]>(
  'a list of modules, at least one',
  x => Array.isArray(x) && x.length > 0 && x.every(module => module instanceof Module),
  ([value]) => (value instanceof Module ? { text: '[model]', values: 1 } : undefined),
)

/**
 * The mean of the weights of several models: θ₁ + Σ (θᵢ - θ₁) / n, so the mean of equal weights is exact. This is the uniform soup of
 * Wortsman et al. 2022 (arXiv 2203.05482), which helps if the models were finetuned from the same weights.
 *
 *     const soup = new Classifier().loadStateDict(averageWeights([one, two, three]))
 *
 * Buffers are averaged too; those of integers, which count, are those of the first model.
 * @param models with parameters of the same names, shapes and dtypes, on one device
 * @returns new tensors by the names of the parameters
 * @throws StateDictError naming what differs from the first model
 */
export function averageWeights(models: readonly Module[]): Map<string, Tensor> {
  checkArguments('averageWeights(models)', [areModules], [models])
  const [first, ...others] = models.map(model => model.stateDict())
  for (const other of others) {
    const missing = [...first.keys()].filter(name => !other.has(name))
    const unexpected = [...other.keys()].filter(name => !first.has(name))
    const mismatched = [...first].flatMap(([name, value]) =>
      other.has(name) ? mismatch(name, value, other.get(name)!) : [],
    )
    if (missing.length + unexpected.length + mismatched.length > 0)
      throw new StateDictError(missing, unexpected, mismatched)
  }
  const mean = (name: string, value: Tensor) =>
    noGrad(() =>
      scope(() => {
        // a count is no weight
        if (others.length === 0 || !isFloating(value.dtype)) return copyOf(value)
        const [some, ...more] = others.map(other => other.get(name)!.sub(value))
        return value.add(more.reduce((sum, x) => sum.add(x), some).div(models.length))
      }),
    )
  return new Map([...first].map(([name, value]) => [name, mean(name, value)]))
}
