// Checks the derivatives of the loss of a whole model. All parameters of a part of the model move along one random direction,
// so the first and second derivatives with respect to millions of parameters become a few numbers, and an error in any
// derivative changes one of these numbers. Parameters with larger gradients move less, so that no parameter hides another.

import { checkedOn, type ExactDevice } from '../autograd/gradcheck/gradcheck.ts'
import { worstOf } from '../autograd/gradcheck/gradcheck-result.ts'
import { HOW_VALUES_LEAVE } from '../autograd/gradient-error.ts'
import { type GradcheckResult, GradientError, gradcheck, type Verdict, vjp } from '../autograd/index.ts'
import { withParameters } from '../nn/index.ts'
import { titleOf } from '../nn/parameter-source.ts'
import { checkArguments } from '../tensor/arguments.ts'
import {
  DeviceError,
  defaultGenerator,
  device,
  fromData,
  Generator,
  onesLike,
  randn,
  type Tensor,
  zeros,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { HostTensor, readBatch, writeBatch } from './batch-tree.ts'
import { isObjective, lossesOf, type Objective } from './objective.ts'
import { partOf } from './parts.ts'
import { restorer } from './restore.ts'

/** Options of `gradcheckObjective`. */
export interface GradcheckObjectiveOptions {
  /** 1 checks first derivatives, 2 also second derivatives, 3 also third derivatives; default 2 */
  readonly order?: 1 | 2 | 3
  /**
   * standard deviation of the random numbers that are added to the parameters before the check, because some initial values are special
   * cases, such as biases of 0; default 0.1. With 0, the derivatives are checked at the present parameters
   */
  readonly noise?: number
  /** seed of the noise, the directions and the generator that a function `batch` gets; default 0 */
  readonly seed?: number
}
const gradcheckObjectiveOptions = {
  order: is.byDefault(2, new is.Kind<1 | 2 | 3>('1, 2 or 3', x => [1, 2, 3].includes(x as number))),
  noise: 0.1,
  seed: is.byDefault(0, is.size),
} satisfies Settings<GradcheckObjectiveOptions>

/** The derivatives of one order with respect to the parameters of one part of a model. */
export interface PartDerivatives {
  /** the start of its parameters' names: a numbered block, such as blocks.0, or a field of the model */
  readonly part: string
  /** the number of elements of its parameters */
  readonly parameters: number
  /** order of the derivatives */
  readonly order: 1 | 2 | 3
  /** the number of derivatives that were compared */
  readonly derivatives: number
  /** largest error divided by its tolerance: above 1 is wrong */
  readonly worst: number
  /** the most serious verdict of these derivatives */
  readonly verdict: Verdict
  /** whether the verdict is pass */
  readonly ok: boolean
}

/** The result of `gradcheckObjective`. */
export interface GradcheckObjectiveResult {
  /** whether all parts pass */
  readonly ok: boolean
  /** the most serious one */
  readonly verdict: Verdict
  /** the derivatives of every part and order */
  readonly parts: readonly PartDerivatives[]
  /** a description of the result */
  readonly message: string
  /** the check of the loss as a function of one step size for each part, in the order of the parts */
  readonly result: GradcheckResult
}

/** A gradient below this share of the largest counts as that share: some are only rounding, such as those of keys' biases. */
const SMALL = 1e-3

/**
 * Checks the derivatives of any loss against finite differences, along one random direction for each part of its model, in float64
 * on `cpu` if that is the current device, else on `reference`. `reference` has the last word: what does not pass on `cpu` is checked
 * again there. Frozen parameters are checked too. The model is in `eval` mode during the check; its parameters, its modes and the
 * program's random numbers are the same afterwards. A loss that draws random numbers gets the same ones in each evaluation.
 *
 *     const { ok, message } = await gradcheckObjective({ model, loss }, batch)
 *     if (!ok) throw new Error(message)
 *
 * @param batch a batch for `objective.loss`, or a function that makes one with tensors on the current device, which is the one of the
 *   check. A few examples are enough: each derivative needs several evaluations of the loss
 * @throws ArgumentError if the loss is not a scalar, GradientError if it depends on no parameter, DeviceError if it depends on a tensor
 *   of another device that is neither a parameter nor in the batch
 */
export async function gradcheckObjective<Batch>(
  objective: Objective<Batch>,
  batch: Batch | ((generator: Generator) => Batch),
  options?: GradcheckObjectiveOptions,
): Promise<GradcheckObjectiveResult> {
  const call = 'gradcheckObjective(objective, batch, options)'
  checkArguments(call, [isObjective, is.anything, is.options], [objective, batch, options])
  const { order, noise, seed } = settle(call, options, gradcheckObjectiveOptions)
  const { model } = objective
  const named = [...model.namedParameters()]
  const read = await Promise.all(named.map(([, parameter]) => HostTensor.of(parameter)))
  const draw = await drawn(batch)
  const parts = [...new Set(named.map(([name]) => partOf(name)))]
  const restore = restorer(model)
  const { position } = defaultGenerator().state
  try {
    model.eval()
    const run = (on: ExactDevice) =>
      checkedOn(on, () => {
        const generator = new Generator(seed).fork('gradcheck')
        const values = read.map(({ data, shape }) =>
          fromData(Float64Array.from(data), shape).add(randn(shape, { dtype: 'float64', generator }).mul(noise)),
        )
        const examples = draw(generator)
        const lossAt = (...parameters: Tensor[]): Tensor => {
          defaultGenerator().seek(position)
          return withParameters(model, parameters, () => lossesOf(objective, examples).total)
        }
        const [value, pullback] = vjp(lossAt, ...values)
        const sizes = pullback(onesLike(value)).map(g => Math.sqrt(g.square().sum().dataSync()[0]))
        const largest = Math.max(...sizes)
        const least = largest > 0 ? largest * SMALL : 1
        const directions = values.map(({ shape }, i) =>
          randn(shape, { dtype: 'float64', generator }).div(Math.max(sizes[i], least)),
        )
        const loss = (...steps: Tensor[]): Tensor =>
          lossAt(...values.map((value, i) => value.add(directions[i].mul(steps[parts.indexOf(partOf(named[i][0]))]))))
        const found = gradcheck(
          loss,
          parts.map(() => zeros([], { dtype: 'float64' })),
          { order, device: on },
        )
        if (found.ok && largest === 0)
          throw new GradientError(
            `gradcheckObjective: the loss depends on no parameter of ${titleOf(model)}. Compute all of it inside objective.loss, by tensor operations. ${HOW_VALUES_LEAVE}`,
            value,
          )
        return found
      })
    const fast = device.get().name === 'cpu' ? unlessElsewhere(() => run('cpu')) : undefined
    const result = fast?.ok ? fast : run('reference')
    const sizeOf = (part: string) =>
      named.reduce((sum, [name, { size }]) => (partOf(name) === part ? sum + size : sum), 0)
    return conclude(
      parts.map(part => ({ part, parameters: sizeOf(part) })),
      result,
      order,
    )
  } finally {
    restore()
  }
}

/** The result of a check, or undefined if the loss has tensors on another device. */
function unlessElsewhere<T>(check: () => T): T | undefined {
  try {
    return check()
  } catch (error) {
    if (error instanceof DeviceError) return undefined
    throw error
  }
}

/** The given function that makes a batch, or one that returns a copy of the given batch in float64. */
async function drawn<Batch>(
  batch: Batch | ((generator: Generator) => Batch),
): Promise<(generator: Generator) => Batch> {
  if (typeof batch === 'function') return batch as (generator: Generator) => Batch
  const host = await readBatch(batch)
  return () => writeBatch(host, Float64Array)
}

function conclude(
  parts: readonly Pick<PartDerivatives, 'part' | 'parameters'>[],
  result: GradcheckResult,
  order: 1 | 2 | 3,
): GradcheckObjectiveResult {
  const isRepeatable = result.verdict !== 'not deterministic'
  const found = parts.flatMap((part, input) =>
    ([1, 2, 3] as const).slice(0, order).map((order): PartDerivatives => {
      const own = result.parts.filter(each => each.input === input && each.order === order)
      // a loss that is not deterministic has no derivatives to compare
      const verdict = isRepeatable ? worstOf(own.map(each => each.verdict)) : 'not deterministic'
      const derivatives = own.reduce((sum, { checked }) => sum + checked, 0)
      const worst = own.reduce((largest, each) => Math.max(largest, each.worst), 0)
      return { ...part, order, derivatives, worst, verdict, ok: verdict === 'pass' }
    }),
  )
  const { ok, verdict } = result
  return { ok, verdict, parts: found, message: messageOf(found, isRepeatable), result }
}

function messageOf(found: readonly PartDerivatives[], isRepeatable: boolean): string {
  if (!isRepeatable)
    return 'the same parameters gave two different losses or gradients: draw random numbers from the generator of the program, or put them into the batch'
  const wrong = found.filter(({ ok }) => !ok)
  const parts = new Set(found.map(({ part }) => part)).size
  if (wrong.length === 0)
    return `the derivatives of the loss agree with finite differences, along one direction for each of ${parts} part${parts === 1 ? '' : 's'}`
  const lines = wrong.map(({ part, order, verdict, worst }) => {
    const by = verdict === 'mismatch' ? `, ${worst.toPrecision(3)} times the tolerance` : ''
    return `  ${part}, order ${order}: ${verdict}${by}`
  })
  return [`${wrong.length} of ${found.length} derivatives of the loss do not pass:`, ...lines].join('\n')
}
