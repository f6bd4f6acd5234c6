// Weights that are computed from other parameters: weight normalization and spectral normalization, as transformations of a module
// that has a weight.

import { noGrad } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { randn, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { insert, lastInserted, removeInserted } from './inserted.ts'
import { Module, nameOf } from './module.ts'
import { Buffer, Parameter } from './parameter.ts'

/** A module with a weight of two axes or more, [out, …], such as Linear and a convolution. */
export interface Weighted extends Module {
  /** the parameter that is computed from others */
  readonly weight: Parameter
}

/** The fields of a module whose weight is computed. */
interface Parametrized extends Module {
  readonly weight: Tensor
  readonly weight_g: Parameter
  readonly weight_v: Parameter | Buffer
  readonly weight_orig: Parameter
  readonly weight_u: Buffer
  readonly training: boolean
}

const isModule = is.instance('a module with a weight', Module)

/** The weight of a module, which is a field and has two axes or more. */
function weightOf(call: string, module: Weighted): Parameter {
  const weight: unknown = Object.getOwnPropertyDescriptor(module, 'weight')?.value
  if (weight instanceof Parameter && weight.rank >= 2) return weight
  const problem =
    'weight' in module && weight === undefined ? 'its weight is computed already' : 'it has no such weight'
  throw new TypeError(`${call}: ${nameOf(module)} must have a weight of two axes or more in a field: ${problem}`)
}

/** Replaces the field `weight` by a function of other fields. */
function compute(
  module: Module,
  weight: (this: Parametrized) => Tensor,
  forward: (parent: Module) => PropertyDescriptorMap = () => ({}),
): void {
  Reflect.deleteProperty(module, 'weight')
  insert(module, parent => ({ weight: { get: weight }, ...forward(parent) }))
}

/** [out, …] → [out, 1, …]: the norm of the weights of each output. */
const normOfRows = (v: Tensor): Tensor => v.norm({ axis: v.shape.slice(1).map((_, i) => i + 1), keepDims: true })

/**
 * Weight normalization (Salimans and Kingma 2016): weight = g v / ‖v‖, with a norm for each output, so that the length of the weights and
 * their direction are learned apart. The field `weight` is replaced by the parameters `weight_g` [out, 1, …] and `weight_v` [out, …], named as
 * in PyTorch's `nn.utils.weight_norm`; `weight` can still be read. {@link removeParametrization} undoes it. Make the optimizer afterwards.
 *
 *     weightNorm(new Linear(8, 4))
 *
 * @returns the same module
 * @throws TypeError for a module without a weight of two axes or more, or whose weight is computed already
 */
export function weightNorm<M extends Weighted>(module: M): M {
  const call = 'weightNorm(module)'
  checkArguments(call, [isModule], [module])
  const weight = weightOf(call, module)
  const lengths = new Parameter(noGrad(() => normOfRows(weight)))
  lengths.trainable = weight.trainable
  compute(module, function () {
    return this.weight_v.mul(this.weight_g.div(normOfRows(this.weight_v)))
  })
  return Object.assign(module, { weight_g: lengths, weight_v: weight })
}

/** Options of {@link spectralNorm}. */
export interface SpectralNormOptions {
  /** steps of the power iteration in each call of `forward` in training; default 1 */
  readonly iterations?: number
  /** added to the norms that the power iteration divides by; default 1e-12 */
  readonly epsilon?: number
}
const spectralNormOptions = {
  iterations: is.byDefault(1, is.count),
  epsilon: 1e-12,
} satisfies Settings<SpectralNormOptions>

/** [out, …] → [out, rest] */
const asMatrix = (x: Tensor): Tensor => x.reshape([x.shape[0], x.size / x.shape[0]])

/** v = Wᵀu / ‖Wᵀu‖, u = W v / ‖W v‖, again and again. */
function iterate(module: Parametrized, iterations: number, epsilon: number): void {
  noGrad(() => {
    const matrix = asMatrix(module.weight_orig)
    const unit = (x: Tensor) => x.div(x.norm().maximum(epsilon))
    for (let i = 0; i < iterations; i++) {
      module.weight_v.assign(unit(module.weight_u.matmul(matrix)))
      module.weight_u.assign(unit(matrix.matmul(module.weight_v)))
    }
  })
}

/**
 * Spectral normalization (Miyato et al. 2018): weight = W / σ, where σ = uᵀ W v is the largest singular value of W [out, …], a matrix of out
 * rows. The vectors u and v come from a power iteration, of which `forward` does some steps in training, and are constants for the gradient.
 * The field `weight` is replaced by the parameter `weight_orig` and the buffers `weight_u` and `weight_v`, named as in PyTorch's
 * `nn.utils.spectral_norm`; `weight` can still be read. {@link removeParametrization} undoes it. Make the optimizer afterwards.
 *
 * @returns the same module
 * @throws TypeError for a module without a weight of two axes or more, or whose weight is computed already
 */
export function spectralNorm<M extends Weighted>(module: M, options?: SpectralNormOptions): M {
  const call = 'spectralNorm(module, options)'
  checkArguments(call, [isModule], [module])
  const { iterations, epsilon } = settle(call, options, spectralNormOptions)
  const weight = weightOf(call, module)
  const vector = (size: number) =>
    new Buffer(noGrad(() => randn([size], { dtype: weight.dtype as 'float32', device: weight.device }).normalize()))
  const forward = (parent: Module): PropertyDescriptorMap => ({
    forward: {
      value(this: Parametrized, ...args: unknown[]) {
        if (this.training) iterate(this, iterations, epsilon)
        return (parent as Module & { forward(...args: unknown[]): unknown }).forward.apply(this, args)
      },
    },
  })
  compute(
    module,
    function () {
      // copies, because the next iteration frees these values, and a tape may need them after it
      const [u, v] = noGrad(() => [this.weight_u.mul(1), this.weight_v.mul(1)])
      const sigma = u.matmul(asMatrix(this.weight_orig).matmul(v))
      return this.weight_orig.div(sigma)
    },
    forward,
  )
  const [rows, columns] = asMatrix(weight).shape
  Object.assign(module, { weight_orig: weight, weight_u: vector(rows), weight_v: vector(columns) })
  iterate(module as unknown as Parametrized, 15, epsilon)
  return module
}

/**
 * Makes the computed weight of a module a parameter again, with its present value: undoes {@link weightNorm} and {@link spectralNorm}.
 * @returns the same module
 * @throws TypeError if no weight of it is computed, or {@link lora} adapted it later
 */
export function removeParametrization<M extends Module>(module: M): M {
  checkArguments('removeParametrization(module)', [isModule], [module])
  const computed = lastInserted(module, 'weight')
  if (!computed)
    throw new TypeError(
      `removeParametrization: no weight of ${nameOf(module)} is computed, or it was adapted later; weightNorm and spectralNorm make one`,
    )
  const { weight, weight_v, weight_orig } = module as unknown as Parametrized
  const parameter = weight_orig ?? (weight_v as Parameter)
  parameter.assign(noGrad(() => weight.mul(1)))
  for (const name of ['weight_g', 'weight_v', 'weight_orig', 'weight_u']) Reflect.deleteProperty(module, name)
  removeInserted(module)
  return Object.assign(module, { weight: parameter })
}
